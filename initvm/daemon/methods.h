/* SPDX-License-Identifier: MIT */
/* The interface org.initvm as a table of methods; userdata is the struct daemon. */
#pragma once

#include "io/server.h"

extern const struct server_interface methods_interface;
