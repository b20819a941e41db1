/* SPDX-License-Identifier: MIT */
/* A temporary folder per test, and paths in it. */
#pragma once

#include <stddef.h>

/* For cmocka_unit_test_setup_teardown(): *state is the folder's path. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* <folder>/<name>, owned. */
char *scratch_path(void **state, const char *name);

/* Writes a file into it; returns its path, owned. */
char *scratch_file(void **state, const char *name, const void *data, size_t n, unsigned mode);

/* Fds that this process has open. */
size_t scratch_open_fds(void);

/* What a program, searched in PATH, writes to its standard output; it must end with status 0. Owned. */
char *scratch_output(char *const *argv);
