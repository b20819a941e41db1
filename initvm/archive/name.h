/* SPDX-License-Identifier: MIT */
/* Names of what is copied: any bytes but NUL, as the kernel has them. */
#pragma once

/* The name under which a source arrives in a folder: its last component. What means a folder's content has the name ".": "/", "",
 * and paths that end in "." or "..". Owned. */
char *name_of_source(const char *path);

/* For where only text can pass (an argument in a Varlink call): bytes that are no printable ASCII, and '%', become %XX. Owned. */
char *name_escape(const char *name);
/* The way back. Owned; NULL when it is not such a text, or holds %00. */
char *name_unescape(const char *text);
