#ifndef KEX_CQRENCODE_H
#define KEX_CQRENCODE_H

#include <qrencode.h>

#endif
