/* SPDX-License-Identifier: MIT */
/*
 * A system that debian-installer has made becomes a machine of ours.  What the preseed asks for, the installer has done; what is
 * left is what bootstrap adds as well: the agent, a login on the serial line, keys only for SSH, emulators, quick starts.
 *
 * The installer's last step runs this inside the new system, as the static program initvm-target, with its input beside it.
 */
#pragma once

#include "base/error.h"
#include "provision/image.h"
#include "provision/plan.h"
#include "provision/preseed.h"

/* Where program, input and agent are in the new system while it runs; the installer's script removes the folder. */
#define INSTALLED_FOLDER "/usr/lib/initvm/setup"

/* The input's name there: JSON of {imagePath, image, preseedPath, preseed, name, mirror, proxyAfterwards}. */
#define INSTALLED_INPUT "input.json"
#define INSTALLED_AGENT "initvm-agent"

/* What the installer's way reads of a preseed: everything but disks and users, which are the installer's alone. It is read on the
 * host, and again in the new system. NULL on failure. */
struct plan *installed_plan(const struct image *image, struct preseed *preseed, const struct plan_overrides *overrides,
                            struct error *err);

/* Whether the preseed configures the network by itself, so that it stays as the installer leaves it. */
bool installed_static_network(const struct preseed *preseed);

/* Inside the new system. */
int installed_complete(struct error *err);
