// What Swift's Glibc module leaves out of <sys/epoll.h>, <sys/eventfd.h>, <sys/signalfd.h> and <sys/socket.h>.
// It can go when Glibc's module map covers them.
#ifndef KEX_CLINUX_H
#define KEX_CLINUX_H

#include <malloc.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// All need _GNU_SOURCE, which cannot be set for a module: declared here as in the headers.
int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags);

int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

struct kex_ucred {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};  // struct ucred of unix(7)

// Linux 4.13; not in glibc's <sys/socket.h> of Debian 12. Source: asm-generic/socket.h.
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

// Linux 5.14; the same. A number that no other network namespace has had since the machine was started.
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#endif
