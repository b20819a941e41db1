/* SPDX-License-Identifier: MIT */
#include "daemon/accel.h"

#include "base/boot_id.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"

/* The banner is the kernel's first line; who writes so much without it is not a kernel, but a QEMU that complains for ever. */
#define WORDS_MAX 65536

/* One kernel being probed; others that ask meanwhile wait for the same verdict. */
struct waiter {
        char *wanted;
        accel_fn fn;
        void *userdata;
        struct waiter *next;
};

struct probe {
        struct accel *accel;
        char *key;
        pid_t pid;
        int output;
        struct loop_source *child, *output_source, *deadline;
        bool spoke; /* the kernel has written something */
        bool expired;
        struct buf text; /* what QEMU said */
        struct waiter *waiters;
};

struct accel {
        struct loop *loop;
        char *verdicts; /* file */
        const struct machine *machine;
        const char *ruled_out;
        const char *device;
        unsigned timeout_ms;
        struct probe *probe;
};

struct accel *accel_new(struct loop *loop, const char *cache_folder, const struct machine *machine, const char *ruled_out)
{
        struct accel *a = xcalloc(1, sizeof(*a));

        a->loop = loop;
        a->verdicts = xasprintf("%s/kvm-verdicts.json", cache_folder);
        a->machine = machine;
        a->ruled_out = ruled_out;
        a->device = KVM_DEVICE;
        a->timeout_ms = ACCEL_PROBE_TIMEOUT_MS;
        return a;
}

void accel_set_device(struct accel *a, const char *device, unsigned timeout_ms)
{
        a->device = device;
        a->timeout_ms = timeout_ms;
}

static void probe_free(struct probe *p)
{
        loop_source_free(p->child);
        loop_source_free(p->output_source);
        loop_source_free(p->deadline);
        if (p->output >= 0)
                close(p->output);
        buf_done(&p->text);
        free(p->key);
        while (p->waiters) {
                struct waiter *w = p->waiters;
                p->waiters = w->next;
                free(w->wanted);
                free(w);
        }
        free(p);
}

void accel_free(struct accel *a)
{
        if (!a)
                return;
        if (a->probe) {
                kill(a->probe->pid, SIGKILL);
                probe_free(a->probe);
        }
        free(a->verdicts);
        free(a);
}

/* Boot, QEMU and kernel, each by what changes when it is replaced: size and time stand for the content of the two files. */
static char *verdict_key(const struct accel *a, const char *kernel)
{
        autofree char *boot = boot_id();
        struct stat q = {0}, k = {0};

        if (stat(a->machine->emulator, &q) < 0 || stat(kernel, &k) < 0)
                return xasprintf("%s missing", boot);
        return xasprintf("%s qemu:%lld.%lld kernel:%lld", boot, (long long)q.st_size, (long long)q.st_mtim.tv_sec,
                         (long long)k.st_size);
}

/* The kept verdict: NULL when there is none, "" when KVM works, else why not. Owned. */
static char *load_verdict(const struct accel *a, const char *key)
{
        autojson struct json_object *o = json_parse_file(a->verdicts, NULL);
        const char *text = json_get_string(o, key, NULL);

        return text ? xstrdup(text) : NULL;
}

static void store_verdict(const struct accel *a, const char *key, const char *why_not)
{
        autojson struct json_object *old = json_parse_file(a->verdicts, NULL), *o = json_new();
        autofree char *boot = boot_id();
        struct error err = ERROR_INIT;

        /* Verdicts of earlier boots are of no use any more. */
        if (json_object_is_type(old, json_type_object)) {
                json_object_object_foreach (old, name, value) {
                        if (str_has_prefix(name, boot))
                                json_add(o, name, json_object_get(value));
                }
        }
        json_add_string(o, key, why_not);
        const char *text = json_line(o);
        if (file_write_atomic(a->verdicts, 0600, text, strlen(text), &err) < 0)
                log_warning("%s", err.message);
}

static int device_usable(const struct accel *a, struct error *err)
{
        autoclose int fd = -1;

        if (a->ruled_out)
                return error_set(err, ERR_UNSUPPORTED, "%s", a->ruled_out);
        fd = open(a->device, O_RDWR | O_CLOEXEC);
        if (fd >= 0)
                return 0;
        if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
                return error_set(err, ERR_UNSUPPORTED, "this host has no %s", a->device);
        if (errno == EACCES || errno == EPERM)
                return error_set(err, ERR_UNSUPPORTED, "no permission for %s; join the group 'kvm' and log in again", a->device);
        return error_set(err, ERR_UNSUPPORTED, "%s cannot be opened: %s", a->device, strerror(errno));
}

int accel_rule_out(struct accel *a, struct error *err)
{
        autojson struct json_object *o = json_parse_file(a->verdicts, NULL);
        autofree char *boot = boot_id();

        if (device_usable(a, err) < 0)
                return -1;
        if (!json_object_is_type(o, json_type_object))
                return 0;
        json_object_object_foreach (o, key, value) {
                const char *why_not = json_object_get_string(value);
                if (str_has_prefix(key, boot) && why_not && *why_not)
                        return error_set(err, ERR_UNSUPPORTED, "%s", why_not);
        }
        return 0;
}

static void answer(const char *wanted, const char *why_not, accel_fn fn, void *userdata)
{
        struct error err = ERROR_INIT;

        if (!*why_not) {
                fn(userdata, true, NULL, NULL);
        } else if (streq(wanted, "kvm")) {
                error_set(&err, ERR_UNSUPPORTED, "KVM does not work here: %s; use '--accel auto' for software emulation",
                          why_not);
                fn(userdata, false, NULL, &err);
        } else {
                fn(userdata, false, why_not, NULL);
        }
}

/* The probe is over: the verdict goes to the file and to everybody who waits. */
static void conclude(struct probe *p, int wait_status)
{
        struct accel *a = p->accel;
        struct waiter *waiters = p->waiters;
        autofree char *why_not = NULL;

        if (p->spoke) {
                why_not = xstrdup("");
        } else if (p->expired) {
                why_not = xasprintf("%s opens, but a kernel started under it wrote nothing within %g s", a->device,
                                    a->timeout_ms / 1000.0);
        } else {
                autofree char *said = buf_take_string(&p->text);
                said[strcspn(said, "\r\n")] = '\0';
                why_not = xasprintf("QEMU has ended (%s)%s%s", process_status_text(wait_status), *said ? ": " : "", said);
        }
        log_info("KVM probe: %s", *why_not ? why_not : "works");
        store_verdict(a, p->key, why_not);
        p->waiters = NULL;
        a->probe = NULL;
        probe_free(p);
        while (waiters) {
                struct waiter *w = waiters;
                waiters = w->next;
                answer(w->wanted, why_not, w->fn, w->userdata);
                free(w->wanted);
                free(w);
        }
}

/* QEMU's own complaints come on the same pipe; only the kernel's banner is the proof.  False: nothing to read now. */
static bool listen_once(struct probe *p)
{
        ssize_t n = read(p->output, buf_reserve(&p->text, 4096), 4096);

        if (n > 0) {
                buf_commit(&p->text, (size_t)n);
                p->spoke |= memmem(buf_head(&p->text), buf_size(&p->text), "Linux version", 13) != NULL;
        } else if (n == 0 || errno != EAGAIN) {
                loop_source_free(p->output_source);
                p->output_source = NULL; /* the child's end decides */
        }
        return n > 0;
}

static void on_output(void *userdata, uint32_t events)
{
        struct probe *p = userdata;

        (void)events;
        if (listen_once(p) && (p->spoke || buf_size(&p->text) > WORDS_MAX))
                kill(p->pid, SIGKILL);
}

static void on_child(void *userdata, int wait_status)
{
        struct probe *p = userdata;

        while (p->output_source && !p->spoke && listen_once(p)) /* its last words may still be in the pipe */
                ;
        conclude(p, wait_status);
}

static void on_deadline(void *userdata)
{
        struct probe *p = userdata;

        p->expired = true;
        kill(p->pid, SIGKILL);
}

static int start_probe(struct accel *a, const char *kernel, char *owned_key, struct error *err)
{
        autostrv char **argv = NULL;
        int pipe_fds[2];
        struct probe *p = xcalloc(1, sizeof(*p));

        p->accel = a;
        p->key = owned_key;
        p->output = -1;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
                probe_free(p);
                return error_errno(err, errno, "cannot make a pipe");
        }
        p->output = pipe_fds[0];
        strv_add(&argv, a->machine->emulator);
        for (const char *const *o = (const char *const[]){"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                                                          "-m", "256", "-accel", "kvm", "-cpu", "host", "-serial", "stdio", NULL};
             *o; o++)
                strv_add(&argv, *o);
        strv_add(&argv, "-machine");
        strv_add(&argv, a->machine->type);
        strv_add(&argv, "-kernel");
        strv_add(&argv, kernel);
        strv_add(&argv, "-append");
        strv_addf(&argv, "console=%s panic=-1", a->machine->console);
        const struct process_fd fds[] = {{pipe_fds[1], 1}, {pipe_fds[1], 2}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .death_signal = SIGKILL};
        int r = process_spawn(argv, &options, &p->pid, err);
        close(pipe_fds[1]);
        if (r < 0) {
                probe_free(p);
                return -1;
        }
        fd_set_nonblock(p->output, true);
        p->child = loop_add_child(a->loop, p->pid, on_child, p);
        p->output_source = loop_add_fd(a->loop, p->output, EPOLLIN, on_output, p);
        p->deadline = loop_add_timer(a->loop, on_deadline, p);
        loop_timer_arm(p->deadline, a->timeout_ms);
        a->probe = p;
        return 0;
}

void accel_decide(struct accel *a, const char *wanted, const char *kernel, accel_fn fn, void *userdata)
{
        struct error err = ERROR_INIT;
        autofree char *key = NULL, *verdict = NULL;
        struct waiter *w;

        if (streq(wanted, "tcg")) {
                fn(userdata, false, NULL, NULL);
                return;
        }
        if (device_usable(a, &err) < 0) {
                answer(wanted, err.message, fn, userdata);
                return;
        }
        key = verdict_key(a, kernel);
        verdict = load_verdict(a, key);
        if (verdict) {
                answer(wanted, verdict, fn, userdata);
                return;
        }
        /* A probe of another kernel that is running answers for this one as well: what fails is the host. */
        if (!a->probe && start_probe(a, kernel, take_ptr(key), &err) < 0) {
                answer(wanted, err.message, fn, userdata);
                return;
        }
        w = xcalloc(1, sizeof(*w));
        *w = (struct waiter){.wanted = xstrdup(wanted), .fn = fn, .userdata = userdata, .next = a->probe->waiters};
        a->probe->waiters = w;
}
