/* SPDX-License-Identifier: MIT */
/* A libvirt stream (console, channel) as non-blocking bytes in the loop: the same for embedded, local and remote connections. */
#pragma once

#include "base/util.h"

#include <libvirt/libvirt.h>

struct virt_stream;

struct virt_stream_events {
        void (*data)(void *userdata, const uint8_t *data, size_t n);
        void (*ended)(void *userdata);   /* end or error; once */
        void (*drained)(void *userdata); /* the output queue became empty; may be NULL */
};

/* Takes over a stream that is open and was made with VIR_STREAM_NONBLOCK. */
struct virt_stream *virt_stream_new(virStreamPtr stream, const struct virt_stream_events *events, void *userdata);

/* Also from its own callbacks; none is called afterwards. NULL is fine. */
void virt_stream_free(struct virt_stream *s);

struct buf *virt_stream_output(struct virt_stream *s); /* append, then flush */
void virt_stream_flush(struct virt_stream *s);

/* The last error of libvirt in this thread, for messages. */
const char *virt_error(void);
