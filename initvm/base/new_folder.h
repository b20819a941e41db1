/* SPDX-License-Identifier: MIT */
/*
 * Folders that are being made, beside those that are whole: PARENT/.new-XXXXXX.  The maker holds a flock(2) on the folder itself;
 * one that is found without it was left by a maker that was killed.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

#define NEW_FOLDER_PREFIX ".new-"

/* Makes one (0700). *ret_path is owned. Returns the fd that holds the lock, also when the folder is renamed later; -1. */
int new_folder_make(const char *parent, char **ret_path, struct error *err);

/* Such a name, and no path. */
bool new_folder_name_valid(const char *name);

/* Removes those whose makers are gone; what cannot be removed stays for the next time. */
void new_folder_sweep(const char *parent);
