/* SPDX-License-Identifier: MIT */
/*
 * What is behind a channel: bytes to and from the agent, by a libvirt stream (the virtio-serial port) or by SSH.  Bytes are never
 * looked into; one connection may follow another, and whoever uses a carrier begins each with a sync (wire/frame.h).
 */
#pragma once

#include "base/error.h"
#include "base/util.h"
#include "io/loop.h"

#include <libvirt/libvirt.h>

struct carrier;

struct carrier_events {
        void (*data)(void *userdata, const uint8_t *data, size_t n); /* 64 KiB at most */
        /* What was under way is lost: the connection was (why says how it ended), or there is a new one (why is NULL). */
        void (*reset)(void *userdata, const char *why);
        void (*ended)(void *userdata, const struct error *why); /* for good; once */
        void (*drained)(void *userdata);                        /* the output queue became empty */
};

struct carrier_ops {
        void (*start)(struct carrier *c);
        struct buf *(*output)(struct carrier *c);
        void (*flush)(struct carrier *c);
        void (*free)(struct carrier *c);
};

struct carrier {
        const struct carrier_ops *ops;
        const struct carrier_events *events;
        void *userdata;
};

/* From then on it tells what happens; `events` must outlive it. */
static inline void carrier_start(struct carrier *c, const struct carrier_events *events, void *userdata)
{
        c->events = events;
        c->userdata = userdata;
        c->ops->start(c);
}
static inline struct buf *carrier_output(struct carrier *c) /* append, then flush */
{
        return c->ops->output(c);
}
static inline void carrier_flush(struct carrier *c)
{
        c->ops->flush(c);
}
/* Also from its own events, of which none comes afterwards; started or not; NULL is fine. */
static inline void carrier_free(struct carrier *c)
{
        if (c)
                c->ops->free(c);
}

/* By a libvirt stream, which is taken: open, and made with VIR_STREAM_NONBLOCK. */
struct carrier *carrier_stream_new(virStreamPtr stream);

/* By SSH to a port of 127.0.0.1, with initvm-ssh as a child. Strings are copied. */
struct carrier_ssh_options {
        const char *program;      /* initvm-ssh */
        const char *agent_binary; /* what is uploaded */
        const char *agent_path;   /* where the agent is looked for first */
        uint16_t port;
        const char *user;
        const char *identity_file;
        const char *known_hosts;
        const char *host_key_alias;
        const char *log; /* the child's messages are appended to it */
};
struct carrier *carrier_ssh_new(struct loop *loop, const struct carrier_ssh_options *options, struct error *err);
