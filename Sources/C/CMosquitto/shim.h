#ifndef KEX_CMOSQUITTO_H
#define KEX_CMOSQUITTO_H

#include <mosquitto.h>
#include <mqtt_protocol.h>

#endif
