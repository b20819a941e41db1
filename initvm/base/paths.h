/* SPDX-License-Identifier: MIT */
/*
 * Where everything is.  Root: /var/lib/initvm, /run/initvm, /etc/initvm, /var/cache/initvm.  Users: the XDG base
 * directories.  INITVM_HOME moves all of it below one folder (state in it, run/ config/ cache/ beside).
 */
#pragma once

#include "base/error.h"

struct paths {
        char *state;   /* vms/, creating/, libvirt/, initvmd.log */
        char *runtime; /* socket, locks; private to the user */
        char *config;  /* images/, preseed/ of the user */
        char *cache;   /* verdicts and other things that can be made again */
        char *socket;  /* the daemon's Varlink socket: <runtime>/socket */
        char *log;     /* the daemon's log: <state>/initvmd.log */
        char *images;  /* images/ as shipped */
        char *preseed; /* preseed/ as shipped */
};

/* sun_path holds 108 bytes with its NUL (unix(7)); libvirt makes sockets up to this much below <state>/libvirt. */
#define PATHS_SOCKET_MAX 107
#define PATHS_STATE_MAX  56

/* Resolves all of them, without making any. Fails when HOME is needed and missing, or a path is too long for sockets. */
int paths_init(struct paths *p, struct error *err);

/* Makes state, runtime and cache with safe modes (runtime 0700; state 0711 for root, 0700 for users). */
int paths_make(const struct paths *p, struct error *err);

void paths_done(struct paths *p);

/* The full path of one of our programs ("initvmd", "initvm-provision", "initvm-agent"): beside the running program, or
 * where it is installed. Owned. NULL with ERR_NOT_FOUND. */
char *paths_program(const char *name, struct error *err);
