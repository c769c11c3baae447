// load PORT FILE COUNT CONNECTIONS [OPTION...]
//
// Makes COUNT exchanges with 127.0.0.1, CONNECTIONS at a time, and prints a line of JSON. FILE has an exchange a line: domain,
// key, and the answer that is right, "-" for success. Each exchange comes from an address of its own in 127.0.0.0/8.
//
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

enum { MOST = 8192, PROCESSES = 4, SECONDS = 15 };

struct exchange {
    const char *lines, *answer;
};
struct connection {
    uint64_t start;
    const struct exchange *exchange;
    char reply[64];
    int got;
};

static struct exchange *exchanges;
static size_t known;
static struct connection connections[MOST];
static int port;
static uint32_t source;
static int loop;
static uint64_t *times;
static size_t begun, ended, wrong;
static char sample[64] = "";

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now)) die("clock");
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void read_exchanges(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    size_t room = 0;
    char domain[128], key[128], answer[128];
    while (fscanf(file, "%127s %127s %127s", domain, key, answer) == 3) {
        if (known == room) exchanges = realloc(exchanges, (room = room ? 2 * room : 1024) * sizeof *exchanges);
        char *lines, *right = "";
        asprintf(&lines, "%s\n%s\n", domain, key);
        if (strcmp(answer, "-")) asprintf(&right, "ERR: %s\n", answer);
        exchanges[known++] = (struct exchange){lines, right};
    }
    fclose(file);
    if (!known) die("no exchanges in the file");
}

static int connected(void) {
    int number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (number < 0 || number >= MOST) die("socket");
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000 + source++ % 0x00fe0000)};
    struct linger reset = {1, 0};  // so that no port stays in TIME_WAIT
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
    }
    close(number);
}

static void begin(size_t index) {
    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    int number = connected();
    struct connection *it = &connections[number];
    *it = (struct connection){.start = start, .exchange = &exchanges[index % known]};
    begun++;
    size_t length = strlen(it->exchange->lines);
    if (send(number, it->exchange->lines, length, MSG_NOSIGNAL) != (ssize_t)length) return end(number, "broken");
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, number, &event)) die("watch");
}

/// Whether the exchange has ended.
static int receive(int number) {
    struct connection *it = &connections[number];
    for (;;) {
        ssize_t count = recv(number, it->reply + it->got, sizeof it->reply - 1 - it->got, MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN) return 0;
        if (count > 0 && it->got + count < (ssize_t)sizeof it->reply - 1) {
            it->got += count;
            continue;
        }
        it->reply[it->got] = 0;
        end(number, count == 0 ? it->reply : count < 0 ? "reset" : "too long");
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
    read_exchanges(arguments[2]);
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
        while (begun < total) begin(first + begun);
    }
    for (int index = 0; index < clocks; index++) used[index] = nanoseconds(clock[index]);
    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    if (burst) kill(processes[0], SIGCONT);
    while (begun < total && begun < width) begin(first + begun);
    while (ended < total) {
        struct epoll_event events[256];
        int ready = epoll_wait(loop, events, 256, SECONDS * 1000);
        if (ready == 0) break;  // what is left was lost
        for (int index = 0; index < ready; index++)
            if (receive(events[index].data.u32) && begun < total) begin(first + begun);
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
    printf("{\"count\": %zu, \"wrong\": %zu, \"lost\": %zu, \"sample\": \"%.*s\", \"seconds\": %.9f, \"p50\": %.3f, "
           "\"p99\": %.3f, \"max\": %.3f, \"held\": %d, \"cpu\": [",
           ended, wrong, total - ended, (int)strcspn(sample, "\n"), sample, seconds / 1e9, AT(0.5), AT(0.99), AT(1.0), open);
    for (int index = 0; index < clocks; index++) printf("%s%.9f", index ? ", " : "", used[index] / 1e9);
    printf("]}\n");
    return 0;
}
