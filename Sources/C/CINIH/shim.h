#ifndef KEX_CINIH_H
#define KEX_CINIH_H

#include <ini.h>

#endif
