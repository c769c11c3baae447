// load PORT FILE COUNT CONNECTIONS [OPTION...]
//
// Makes COUNT exchanges with 127.0.0.1, CONNECTIONS at a time, and prints a line of JSON. FILE has an exchange a line: domain,
// key, and the answer that is right, "-" for success. Each connection comes from an address of its own in 127.0.0.0/8.
//
//   --http PATH BODY  post each exchange to PATH as the field's routers do; success is status 200 with BODY and a line feed
//   --keep         with --http: go on over the same connections, and do not make one for each exchange
//   --first N      begin with line N of the file, modulo its lines
//   --source N     the first address is 127.1.0.0 plus N
//   --cpu PROCESS  tell the processor time that this process used meanwhile; can be said several times
//   --burst        stop the first of these processes, let all exchanges wait for it, and let it go on
//   --hold N       hold N more connections that have sent a first half of a line; tell how many are open at the end
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8192, PROCESSES = 4, SECONDS = 15, REPLY = 1024 };

struct exchange {
    const char *request, *answer;
};
struct connection {
    uint64_t start;
    const struct exchange *exchange;
    char reply[REPLY];
    int got;
};

static struct exchange *exchanges;
static size_t known;
static struct connection connections[MOST];
static int port, keep;
static const char *path, *body;
static uint32_t source;
static int loop;
static uint64_t *times;
static size_t begun, ended, wrong;
static char sample[64] = "";

/// What firmware from OpenWrt 24.10 on sends, with the body in one chunk.
static const char post[] =
    "POST %s HTTP/1.1\r\nHost: gw.example.net\r\n"
    "User-Agent: gluon/v2024.1 (tp-link-archer-c7-v2) OpenWrt/24.10 (kernel/6.6.73; ath79/generic) firmware/2025.1\r\n"
    "X-Gluon-Version: v2024.1\r\nX-Board-Name: tp-link-archer-c7-v2\r\nX-Openwrt-Version: 24.10\r\n"
    "X-Kernel-Version: 6.6.73\r\nX-Target-Name: ath79/generic\r\nX-Firmware-Version: 2025.1\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    "%zx\r\n%s\r\n0\r\n\r\n";

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now)) die("clock");
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static struct exchange exchange_of(const char *domain, const char *key, const char *answer) {
    char *request, *right = "";
    if (path) {
        char *text;
        if (strcmp(answer, "-")) die("only success is known over HTTP");
        asprintf(&text, "{\"domain\": \"%s\",\"public_key\": \"%s\"}", domain, key);
        asprintf(&request, post, path, strlen(text), text);
        asprintf(&right, "200 %s\n", body);
        free(text);
    } else {
        asprintf(&request, "%s\n%s\n", domain, key);
        if (strcmp(answer, "-")) asprintf(&right, "ERR: %s\n", answer);
    }
    return (struct exchange){request, right};
}

static void read_exchanges(const char *name) {
    FILE *file = fopen(name, "r");
    if (!file) die(name);
    size_t room = 0;
    char domain[128], key[128], answer[128];
    while (fscanf(file, "%127s %127s %127s", domain, key, answer) == 3) {
        if (known == room) exchanges = realloc(exchanges, (room = room ? 2 * room : 1024) * sizeof *exchanges);
        exchanges[known++] = exchange_of(domain, key, answer);
    }
    fclose(file);
    if (!known) die("no exchanges in the file");
}

static int connected(void) {
    int number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (number < 0 || number >= MOST) die("socket");
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000 + source++ % 0x00fe0000)};
    struct linger reset = {!path, 0};  // so that no port stays in TIME_WAIT; over HTTP we end first, as routers do
    setsockopt(number, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(number, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (bind(number, (void *)&name, sizeof name)) die("bind");
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(port);
    if (connect(number, (void *)&name, sizeof name)) die("connect");
    return number;
}

static void end(int number, const char *how) {
    struct connection *it = &connections[number];
    times[ended++] = nanoseconds(CLOCK_MONOTONIC) - it->start;
    if (strcmp(how, it->exchange->answer)) {
        wrong++;
        if (!*sample) snprintf(sample, sizeof sample, "%.60s", *how ? how : "nothing");
        // It goes into a text of JSON.
        for (char *at = sample; *at; at++)
            if (*at < ' ' || *at == '"' || *at == '\\') *at = '\'';
    }
}

static void begin(size_t index, int number) {
    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    int is_new = number < 0;
    if (is_new) number = connected();
    struct connection *it = &connections[number];
    it->start = start;
    it->exchange = &exchanges[index % known];
    it->got = 0;
    begun++;
    ssize_t length = strlen(it->exchange->request);
    if (send(number, it->exchange->request, length, MSG_NOSIGNAL) != length) {
        end(number, "broken");
        close(number);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    if (is_new && epoll_ctl(loop, EPOLL_CTL_ADD, number, &event)) die("watch");
}

/// An answer of HTTP as its status and its body; NULL while it is not whole.
static const char *answer_of(const char *reply) {
    static char answer[REPLY];
    const char *head = strstr(reply, "\r\n\r\n"), *length = strcasestr(reply, "\r\nContent-Length: ");
    if (!head) return NULL;
    if (!length || length > head) return "no length";
    if (strlen(head + 4) < strtoul(length + 18, NULL, 10)) return NULL;
    snprintf(answer, sizeof answer, "%.3s %s", reply + strlen("HTTP/1.1 "), head + 4);
    return answer;
}

/// Whether the exchange has ended. The connection is closed then, unless it can be kept.
static int receive(int number, int *kept) {
    struct connection *it = &connections[number];
    *kept = 0;
    for (;;) {
        ssize_t count = recv(number, it->reply + it->got, REPLY - 1 - it->got, MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN) return 0;
        if (count > 0) it->got += count;
        it->reply[it->got] = 0;
        const char *how = count == 0 ? it->reply : count < 0 ? "reset" : it->got == REPLY - 1 ? "too long" : NULL;
        if (count > 0 && path && !how) {
            how = answer_of(it->reply);
            *kept = how && keep;
        }
        if (!how) continue;
        end(number, how);
        if (!*kept) close(number);
        return 1;
    }
}

static int ascending(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static int is_stopped(int process) {
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1) die(path);
    fclose(file);
    return state == 'T';
}

int main(int count, char **arguments) {
    if (count < 5) return 64;
    port = atoi(arguments[1]);
    size_t total = strtoul(arguments[3], NULL, 10), width = strtoul(arguments[4], NULL, 10), first = 0;
    int processes[PROCESSES], clocks = 0, burst = 0, hold = 0, held[MOST];
    clockid_t clock[PROCESSES];
    uint64_t used[PROCESSES];
    for (int index = 5; index < count; index++) {
        const char *option = arguments[index];
        const char *word = index + 1 < count ? arguments[index + 1] : "";
        if (!strcmp(option, "--burst")) {
            burst = 1;
            continue;
        }
        if (!strcmp(option, "--keep")) {
            keep = 1;
            continue;
        }
        if (!strcmp(option, "--http") && index + 2 < count) {
            path = arguments[index + 1];
            body = arguments[index + 2];
            index += 2;
            continue;
        }
        index++;
        if (!strcmp(option, "--first")) first = strtoul(word, NULL, 10);
        else if (!strcmp(option, "--source")) source = strtoul(word, NULL, 10);
        else if (!strcmp(option, "--hold")) hold = atoi(word);
        else if (!strcmp(option, "--cpu") && clocks < PROCESSES) {
            processes[clocks] = atoi(word);
            if (clock_getcpuclockid(processes[clocks], &clock[clocks])) die("no such process");
            clocks++;
        } else return 64;
    }
    read_exchanges(arguments[2]);
    struct rlimit limit = {2 * MOST, 2 * MOST};
    setrlimit(RLIMIT_NOFILE, &limit);
    if (width + hold > MOST - 64 || (burst && !clocks)) return 64;
    times = calloc(total, sizeof *times);
    loop = epoll_create1(EPOLL_CLOEXEC);
    for (int index = 0; index < hold; index++) {
        held[index] = connected();
        if (send(held[index], "f", 1, MSG_NOSIGNAL) != 1) die("send");
    }
    if (hold) usleep(100000);  // until they are accepted
    if (burst) {
        width = total;
        kill(processes[0], SIGSTOP);
        while (!is_stopped(processes[0])) usleep(1000);
        while (begun < total) begin(first + begun, -1);
    }
    for (int index = 0; index < clocks; index++) used[index] = nanoseconds(clock[index]);
    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    if (burst) kill(processes[0], SIGCONT);
    while (begun < total && begun < width) begin(first + begun, -1);
    while (ended < total) {
        struct epoll_event events[256];
        int ready = epoll_wait(loop, events, 256, SECONDS * 1000);
        if (ready == 0) break;  // what is left was lost
        for (int index = 0; index < ready; index++) {
            int number = events[index].data.u32, kept;
            if (receive(number, &kept) && begun < total) begin(first + begun, kept ? number : -1);
        }
    }
    uint64_t seconds = nanoseconds(CLOCK_MONOTONIC) - start;
    for (int index = 0; index < clocks; index++) used[index] = nanoseconds(clock[index]) - used[index];
    int open = 0;
    for (int index = 0; index < hold; index++) {
        char byte;
        open += recv(held[index], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    }
    qsort(times, ended, sizeof *times, ascending);
    #define AT(share) (ended ? times[(size_t)((ended - 1) * (share))] / 1e3 : 0)
    printf("{\"count\": %zu, \"wrong\": %zu, \"lost\": %zu, \"sample\": \"%s\", \"seconds\": %.9f, \"p50\": %.3f, "
           "\"p99\": %.3f, \"max\": %.3f, \"held\": %d, \"cpu\": [",
           ended, wrong, total - ended, sample, seconds / 1e9, AT(0.5), AT(0.99), AT(1.0), open);
    for (int index = 0; index < clocks; index++) printf("%s%.9f", index ? ", " : "", used[index] / 1e9);
    printf("]}\n");
    return 0;
}
