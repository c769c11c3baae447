#ifndef KEX_CSYSTEMD_H
#define KEX_CSYSTEMD_H

#define SD_JOURNAL_SUPPRESS_LOCATION

#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

// A macro with a cast, which Swift does not import. Source: sd_listen_fds(3).
static const int KEX_LISTEN_FDS_START = SD_LISTEN_FDS_START;

#endif
