/* SPDX-License-Identifier: MIT */
/*
 * What debian-installer is doing, read from its two serial ports: the console, where its text frontend shows progress and
 * questions, and its log.  Bytes in, a state out, in whatever pieces they come; no fd, no clock.
 *
 * The log says which step runs ("main-menu[N]: INFO: Menu item 'partman-base' selected") and, with DEBCONF_DEBUG=developer, which
 * question is asked ("--> INPUT high NAME", "<-- 0 question will be asked").  The console has the question's words, and ends with
 * a prompt ("Prompt: '?' for help> ", "[Press enter to continue]"): that is where a preseeded installation that lacks an answer,
 * or has gone wrong, would wait for ever.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum installer_state {
        INSTALLER_RUNNING,
        INSTALLER_ASKS,   /* it waits for an answer, or for somebody to read an error */
        INSTALLER_FAILED, /* its kernel panicked, the disk is too small, or the new system could not be completed: see `why` */
        INSTALLER_OFF,    /* done, completed and switched off: what follows is the domain's end */
};

struct installer_watch;

struct installer_watch *installer_watch_new(void);
void installer_watch_free(struct installer_watch *w); /* NULL is fine */

void installer_watch_console(struct installer_watch *w, const void *data, size_t n);
void installer_watch_log(struct installer_watch *w, const void *data, size_t n);

/* States other than RUNNING are final, but that the log may still tell the name of the question that the console shows. */
enum installer_state installer_watch_state(const struct installer_watch *w);

struct installer_progress {
        const char *stage; /* a short name; never NULL */
        const char *text;  /* what the frontend says of it; "" when it says nothing */
        int percent;       /* of what `text` says; -1: unknown */
        unsigned changes;  /* grows with each change of the above */
        unsigned n_stage;  /* grows with each stage */
};

/* Borrowed until more bytes come. */
void installer_watch_progress(const struct installer_watch *w, struct installer_progress *ret);

/* In ASKS: the question's name as in a preseed, NULL when it is not known; and its words, "" when there are none. */
const char *installer_watch_question(const struct installer_watch *w);
char *installer_watch_words(const struct installer_watch *w); /* owned */
/* ... it only wants somebody to read it: an error, for notes are answered by a preseed. */
bool installer_watch_is_message(const struct installer_watch *w);

/* In FAILED: one sentence. NULL otherwise. */
const char *installer_watch_why(const struct installer_watch *w);

/* The last lines of the log that are not debconf's, owned. */
char *installer_watch_log_tail(const struct installer_watch *w);
