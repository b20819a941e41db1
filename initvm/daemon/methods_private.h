/* SPDX-License-Identifier: MIT */
/* What methods.c (quick ones), methods_operations.c (long ones, with progress), methods_network.c, methods_jobs.c and
 * methods_disk.c share. */
#pragma once

#include "base/json.h"
#include "daemon/daemon.h"
#include "daemon/vm.h"
#include "io/server.h"

/* json_read() that takes absent parameters for an empty object, and says "parameters" in its errors. */
int methods_read(struct json_object *parameters, const struct json_field *fields, size_t n, struct error *err);

/* The VM, which runs or is starting (then at first without a domain); NULL with ERR_NOT_FOUND, or with ERR_STATE and how to start
 * it. */
struct vm *methods_running_vm(struct daemon *d, const char *name, struct error *err);

/* Answers the call (userdata) with {"vm": first of the array}. */
void methods_reply_vm(void *call, struct json_object *owned_array);

/* Our resident memory in bytes, from /proc/self/statm. */
uint64_t methods_resident_bytes(void);

int methods_create(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_clone(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_start(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_stop(struct call *call, struct json_object *parameters, void *userdata, struct error *err);

int methods_connect(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_listen(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_accept(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_wait_ready(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_prepare_ssh(struct call *call, struct json_object *parameters, void *userdata, struct error *err);

int methods_submit_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_list_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_job_status(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_watch_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_wait_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_cancel_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_retry_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_remove_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_prune_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_limit_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err);

int methods_disk_info(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_check_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_resize_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_compact_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_list_files(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_read_files(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_write_files(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_export_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_import_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_list_snapshots(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_create_snapshot(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_restore_snapshot(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_remove_snapshot(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
