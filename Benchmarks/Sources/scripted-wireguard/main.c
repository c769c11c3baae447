// scripted-wireguard INTERFACE
//
// Speaks the text protocol of userspace WireGuard at /var/run/wireguard/INTERFACE.sock, remembers peers, and does nothing else:
// what a gateway costs with many peers, without what WireGuard costs. A peer has shaken hands at the moment it is added.
// A change never waits for a list, as it does in wireguard-go.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 1 << 17, KEY = 64, LINE = 512, ADDRESS = 64 };

struct peer {
    char key[KEY], address[ADDRESS];
    long handshake;
    int used, gone;
};

static struct peer peers[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/// The slot of a key, or a free one. Keys are random: their first digits are a hash.
static struct peer *find(const char *key) {
    char digits[9] = "";
    memcpy(digits, key, 8);
    for (size_t slot = strtoul(digits, NULL, 16) % SLOTS;; slot = (slot + 1) % SLOTS)
        if (!peers[slot].used || !memcmp(peers[slot].key, key, KEY)) return &peers[slot];
}

/// Writes down all peers and sends that without the lock.
static int list(FILE *stream) {
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (!memory) die("memory");
    fprintf(memory, "private_key=%064d\nlisten_port=10001\n", 1);
    pthread_mutex_lock(&lock);
    for (size_t slot = 0; slot < SLOTS; slot++) {
        const struct peer *peer = &peers[slot];
        if (!peer->used || peer->gone) continue;
        fprintf(memory,
                "public_key=%.64s\npreshared_key=%064d\nprotocol_version=1\nendpoint=192.0.2.1:10000\n"
                "last_handshake_time_sec=%ld\nlast_handshake_time_nsec=0\ntx_bytes=1000\nrx_bytes=1000\n"
                "persistent_keepalive_interval=0\nallowed_ip=%s\n",
                peer->key, 0, peer->handshake, peer->address);
    }
    pthread_mutex_unlock(&lock);
    fprintf(memory, "errno=0\n\n");
    fclose(memory);
    int isSent = fwrite(text, 1, size, stream) == size && fflush(stream) == 0;
    free(text);
    return isSent;
}

static void *serve(void *argument) {
    int connection = (int)(intptr_t)argument;
    FILE *input = fdopen(connection, "r"), *output = fdopen(dup(connection), "w");
    char line[LINE];
    while (input && output && fgets(line, LINE, input)) {
        int isGet = !strcmp(line, "get=1\n");
        struct peer *peer = NULL;
        pthread_mutex_lock(&lock);
        while (fgets(line, LINE, input) && *line != '\n') {
            char *value = strchr(line, '=');
            if (!value) continue;
            *value++ = 0;
            value[strcspn(value, "\n")] = 0;
            if (!strcmp(line, "public_key") && strlen(value) == KEY) {
                peer = find(value);
                if (!peer->used || peer->gone) {
                    memcpy(peer->key, value, KEY);
                    peer->used = 1;
                    peer->gone = 0;
                    peer->handshake = time(NULL);
                }
            } else if (peer && !strcmp(line, "remove")) {
                peer->gone = 1;
            } else if (peer && !strcmp(line, "allowed_ip")) {
                snprintf(peer->address, ADDRESS, "%s", value);
            }
        }
        pthread_mutex_unlock(&lock);
        if (isGet) {
            if (!list(output)) break;
        } else if (fputs("errno=0\n\n", output) < 0 || fflush(output)) break;
    }
    if (input) fclose(input);
    if (output) fclose(output);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 2) return 64;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "/var/run/wireguard/%s.sock", arguments[1]);
    unlink(name.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) || listen(listener, 16)) die(name.sun_path);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        pthread_t thread;
        if (connection < 0) continue;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection)) close(connection);
        else pthread_detach(thread);
    }
}
