// ceiling DOMAIN...
//
// What one thread can do at most: the exchange of kexd without anything that makes it a service. Accepts, reads two lines,
// checks them, makes one round trip to an echo process over SOCK_SEQPACKET (what waits goes in one packet, up to 64 records
// of the size that kexd's have), and closes. Five seconds for each line. Prints its port and its process on standard output.
//
// Ends when its standard input does.
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 8192, LINE = 64, ROUND = 64, RECORD = 95, ANSWER = 5, SECONDS = 5 };
enum { LISTENER = DESCRIPTORS, ECHO, INPUT };

struct connection {
    char text[2 * LINE + 2];
    uint8_t used, lines;
    int waits;
    int next, previous;  // in the order of their deadlines
    uint64_t deadline;
};

static struct connection connections[DESCRIPTORS];
static int first = -1, last = -1;
static int loop, trip;
static uint8_t requests[DESCRIPTORS * RECORD];
static int waiting;
static char **domains;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void forget(int number) {
    struct connection *it = &connections[number];
    if (!it->waits) return;
    it->waits = 0;
    if (it->previous >= 0) connections[it->previous].next = it->next; else first = it->next;
    if (it->next >= 0) connections[it->next].previous = it->previous; else last = it->previous;
}

static void await(int number, uint64_t now) {
    struct connection *it = &connections[number];
    it->waits = 1;
    it->deadline = now + SECONDS * 1000;
    it->previous = last;
    it->next = -1;
    if (last >= 0) connections[last].next = number; else first = number;
    last = number;
}

static void refuse(int number, const char *reply) {
    forget(number);
    send(number, reply, strlen(reply), MSG_NOSIGNAL);
    shutdown(number, SHUT_WR);
    char rest[4096];
    while (recv(number, rest, sizeof rest, MSG_DONTWAIT) > 0) continue;
    close(number);
}

static int value(unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int is_key(const char *text, size_t count) {
    if (count != 44 || text[43] != '=') return 0;
    for (int index = 0; index < 43; index++)
        if (value(text[index]) < 0) return 0;
    return (value(text[42]) & 3) == 0;
}

static int is_domain(const char *text, size_t count) {
    for (char **name = domains; *name; name++)
        if (strlen(*name) == count && !memcmp(*name, text, count)) return 1;
    return 0;
}

static void receive(int number, int isNew, uint64_t now) {
    struct connection *it = &connections[number];
    ssize_t count = recv(number, it->text + it->used, sizeof it->text - it->used, MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN) count = 0;
    if (count == 0) {
        forget(number);
        close(number);
        return;
    }
    int lines = it->lines;
    if (count > 0) it->used += count;
    char *end = memchr(it->text, '\n', it->used);
    if (end) {
        if (!is_domain(it->text, end - it->text)) return refuse(number, "ERR: INVALID_DOMAIN\n");
        it->lines = 1;
        char *key = end + 1, *stop = memchr(key, '\n', it->text + it->used - key);
        if (stop) {
            if (!is_key(key, stop - key)) return refuse(number, "ERR: INVALID_WGKEY\n");
            forget(number);
            if (!isNew) epoll_ctl(loop, EPOLL_CTL_DEL, number, NULL);
            uint8_t *record = requests + waiting++ * RECORD;
            memcpy(record, &number, 4);
            record[4] = end - it->text;
            memcpy(record + 5, it->text, record[4]);
            memcpy(record + RECORD - 44, key, 44);
            return;
        }
    }
    if (it->used == sizeof it->text) return refuse(number, "ERR: INVALID_DOMAIN\n");
    if (!isNew && lines == it->lines) return;
    forget(number);
    await(number, now);
    if (isNew) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
        if (epoll_ctl(loop, EPOLL_CTL_ADD, number, &event)) die("watch");
    }
}

static void echo(int socket) {
    static uint8_t packet[ROUND * RECORD], answers[ROUND * ANSWER];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        ssize_t count = recv(socket, packet, sizeof packet, 0);
        if (count <= 0) exit(0);
        count /= RECORD;
        for (int index = 0; index < count; index++) {
            memcpy(answers + index * ANSWER, packet + index * RECORD, 4);
            answers[index * ANSWER + 4] = 0;
        }
        send(socket, answers, count * ANSWER, 0);
    }
}

int main(int count, char **arguments) {
    if (count < 2) return 64;
    domains = arguments + 1;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)) die("socketpair");
    int child = fork();
    if (child == 0) {
        close(pair[0]);
        echo(pair[1]);
    }
    close(pair[1]);
    trip = pair[0];

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
    if (bind(listener, (void *)&name, size) || listen(listener, 4096)) die("listen");
    getsockname(listener, (void *)&name, &size);
    loop = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = LISTENER};
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    event.data.u32 = ECHO;
    epoll_ctl(loop, EPOLL_CTL_ADD, trip, &event);
    event.data.u32 = INPUT;
    epoll_ctl(loop, EPOLL_CTL_ADD, 0, &event);
    printf("%d %d\n", ntohs(name.sin_port), getpid());
    fflush(stdout);

    for (;;) {
        struct epoll_event events[256];
        uint64_t now = milliseconds();
        int wait = first < 0 ? -1 : connections[first].deadline <= now ? 0 : (int)(connections[first].deadline - now);
        int ready = epoll_wait(loop, events, 256, wait);
        now = milliseconds();
        for (int index = 0; index < ready; index++) {
            uint32_t who = events[index].data.u32;
            if (who == INPUT) {
                kill(child, SIGKILL);
                return 0;
            }
            if (who == ECHO) {
                uint8_t answers[ROUND * ANSWER];
                ssize_t bytes = recv(trip, answers, sizeof answers, MSG_DONTWAIT);
                for (int at = 0; at + ANSWER <= bytes; at += ANSWER) {
                    int number;
                    memcpy(&number, answers + at, 4);
                    close(number);
                }
            } else if (who == LISTENER) {
                for (int turn = 0; turn < ROUND; turn++) {
                    struct sockaddr_in source;
                    size = sizeof source;
                    int number = accept4(listener, (void *)&source, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
                    if (number < 0) break;
                    if (number >= DESCRIPTORS) {
                        close(number);
                        break;
                    }
                    connections[number].used = connections[number].lines = 0;
                    receive(number, 1, now);
                }
            } else {
                receive(who, 0, now);
            }
        }
        while (first >= 0 && connections[first].deadline <= now) refuse(first, "ERR: NO_WGKEY\n");
        for (int sent = 0; sent < waiting;) {
            int part = waiting - sent < ROUND ? waiting - sent : ROUND;
            if (send(trip, requests + sent * RECORD, part * RECORD, 0) < 0) die("send");
            sent += part;
        }
        waiting = 0;
    }
}
