/* SPDX-License-Identifier: MIT */
/* What the terminal can do, and raw mode that is undone on every way out of the program. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

#define STYLE_BOLD   "\033[1m"
#define STYLE_RED    "\033[31m"
#define STYLE_GREEN  "\033[32m"
#define STYLE_YELLOW "\033[33m"
#define STYLE_RESET  "\033[0m"
#define CLEAR_LINE   "\r\033[K"

/* The fd is a terminal that understands cursor movement (TERM is set and not "dumb"). */
bool terminal_is_live(int fd);

/* The style when fd is such a terminal and NO_COLOR (no-color.org) is not set; else "". */
const char *terminal_style(int fd, const char *style);

/* Columns of the terminal; 80 when it does not say. */
unsigned terminal_width(int fd);

/* Raw mode as of cfmakeraw(3): every key goes through. terminal_restore() undoes it; so do exit(3) and the signals of a crash.
 * One terminal at a time. */
int terminal_raw(int fd, struct error *err);
void terminal_restore(void);

/* For SIGTSTP: stops the program with the terminal restored; raw again when it goes on, if it was. */
void terminal_suspend(void);
