/* SPDX-License-Identifier: MIT */
/*
 * An upgraded connection (wire/frame.h, stream 1) between our standard fds and a command or a console in the VM.
 *
 * Flow control goes end to end: standard input is read only while the other side has given credit, and credit is given back only
 * for what our own reader has taken.  So nobody, here or between, ever holds more than a window.  A console is sent without
 * regard to credit, to whoever reads; there the connection is not read while as much as a window waits for our reader.
 */
#pragma once

#include "base/json.h"
#include "cli/output.h"
#include "io/client.h"
#include "io/conn.h"
#include "io/loop.h"
#include "wire/frame.h"

struct session;

struct session_events {
        /* A MESSAGE frame. */
        void (*message)(void *userdata, struct json_object *message);
        /* The end of what comes for an output (its channel). May be NULL. */
        void (*output_ended)(void *userdata, uint8_t channel);
        /* The stream or the connection ended. The session is over unless session_end() was called before. */
        void (*closed)(void *userdata);
        /* Looks at what was read from standard input before it is sent; returns how many bytes of it to send. May be NULL. */
        size_t (*input)(void *userdata, const uint8_t *data, size_t n);
        /* Standard input is at its end. NULL: the other side is told. */
        void (*input_ended)(void *userdata);
        /* What comes from standard output of the other side. NULL: it goes to ours, or where session_set_output() says. */
        void (*output)(void *userdata, const uint8_t *data, size_t n);
        /* What comes from standard error of the other side. NULL: it goes to ours. */
        void (*error_output)(void *userdata, const uint8_t *data, size_t n);
        /* A signal that was named to session_catch(). */
        void (*signal)(void *userdata, int signo);
};

#define SESSION_SIGNALS_MAX 8

struct session {
        struct loop *loop;
        struct conn *conn;
        struct frame_decoder decoder;
        const struct session_events *events;
        void *userdata;

        int input_fd; /* -1: not read, or at its end */
        bool input_pollable;
        struct loop_source *input_source;
        uint32_t send_credit; /* what the other side still takes */

        struct output outputs[2]; /* standard output and error */
        uint32_t owed;            /* written, and not given back as credit yet */

        uint64_t sent;    /* bytes of input so far */
        uint64_t written; /* bytes of output that our readers have taken */

        struct session_signal {
                struct session *session;
                int signo;
                struct loop_source *source;
        } signals[SESSION_SIGNALS_MAX];
        size_t n_signals;

        bool ending; /* session_end(): only output is still to be written */
        bool over;   /* the loop has been told to quit */
        int status;
        struct error *err;
};

/* Takes the client over, whose last reply must have been that of an upgrade. */
void session_init(struct session *s, struct client *owned, const struct session_events *events, void *userdata);
void session_done(struct session *s);

/* Standard output of the other side goes there instead of to ours. The fd stays the caller's. Before session_run(). */
void session_set_output(struct session *s, int fd);

/* Blocks the signals for the program and has them reported. */
void session_catch(struct session *s, const int *signals, size_t n);

/* Runs until the end: what was given to session_end(), or -1 with *err. Reads input_fd unless it is -1. May be run again, for
 * what comes later on the same connection. */
int session_run(struct session *s, int input_fd, struct error *err);

void session_send(struct session *s, struct json_object *owned);

/* Reads no more input: the other side is told that it is at its end. */
void session_end_input(struct session *s);

/* Ends with this status once all output is written. */
void session_end(struct session *s, int status);

/* Ends at once; output that nobody takes is dropped. */
void session_quit(struct session *s, int status);
void session_fail(struct session *s, enum error_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A reader of ours that went away (EPIPE): the status of a program that SIGPIPE killed. */
#define STATUS_SIGPIPE 141
