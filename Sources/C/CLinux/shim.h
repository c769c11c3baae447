// What Swift's Glibc module leaves out of <sys/epoll.h>, <sys/eventfd.h>, <sys/signalfd.h> and <sys/socket.h>.
// It can go when Glibc's module map covers them.
#ifndef KEX_CLINUX_H
#define KEX_CLINUX_H

#include <linux/capability.h>
#include <malloc.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
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
int setns(int fd, int kind);
#ifndef CLONE_NEWNET
#define CLONE_NEWNET 0x40000000
#endif

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags);

int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

int setresuid(uid_t real, uid_t effective, uid_t saved);
int setresgid(gid_t real, gid_t effective, gid_t saved);
int getresuid(uid_t *real, uid_t *effective, uid_t *saved);
int getresgid(gid_t *real, gid_t *effective, gid_t *saved);

// The C library has them without a header: capset(2).
int capget(cap_user_header_t header, cap_user_data_t data);
int capset(cap_user_header_t header, const cap_user_data_t data);

// prctl(2) has a variable number of arguments, which Swift cannot give.
static inline int kex_prctl(int option, unsigned long a, unsigned long b) { return prctl(option, a, b, 0UL, 0UL); }

// A macro that Swift does not see: the number of a call by the size of what it takes.
static const unsigned long kex_tunsetiff = TUNSETIFF;

struct kex_mmsghdr {
    struct msghdr msg_hdr;
    unsigned int msg_len;
};  // struct mmsghdr of recvmmsg(2)
int recvmmsg(int fd, struct kex_mmsghdr *messages, unsigned int count, int flags, struct timespec *timeout);
int sendmmsg(int fd, struct kex_mmsghdr *messages, unsigned int count, int flags);

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
