#ifndef KEX_CSODIUM_H
#define KEX_CSODIUM_H

#include <sodium.h>

#endif
