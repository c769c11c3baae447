// libnftables: nft(8) as a library.
#ifndef KEX_CNFTABLES_H
#define KEX_CNFTABLES_H

#include <nftables/libnftables.h>

#endif
