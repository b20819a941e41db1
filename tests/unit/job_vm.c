/* SPDX-License-Identifier: MIT */
#include "job_vm.h"

#include "base/process.h"
#include "daemon/carrier.h"
#include "io/conn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a connected socket as a carrier */

struct socket_carrier {
        struct carrier carrier; /* first: a carrier is cast to us */
        struct loop *loop;
        int fd;
        struct conn *conn;
};

static void on_input(void *userdata)
{
        struct socket_carrier *s = userdata;
        autobuf struct buf taken = {0};
        struct buf *in = conn_input(s->conn);

        buf_append(&taken, buf_head(in), buf_size(in));
        buf_consume(in, buf_size(in));
        s->carrier.events->data(s->carrier.userdata, buf_head(&taken), buf_size(&taken));
}

static void on_ended(void *userdata)
{
        struct socket_carrier *s = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_DISCONNECTED, "the VM's agent port was closed");
        s->carrier.events->ended(s->carrier.userdata, &err);
}

static void on_drained(void *userdata)
{
        struct socket_carrier *s = userdata;

        s->carrier.events->drained(s->carrier.userdata);
}

static const struct conn_events conn_events = {.input = on_input, .ended = on_ended, .drained = on_drained};

static void carrier_begin(struct carrier *c)
{
        struct socket_carrier *s = (struct socket_carrier *)c;

        s->conn = conn_new(s->loop, s->fd, &conn_events, s);
}

static struct buf *output(struct carrier *c)
{
        return conn_output(((struct socket_carrier *)c)->conn);
}

static void flush(struct carrier *c)
{
        conn_flush(((struct socket_carrier *)c)->conn);
}

static void release(struct carrier *c)
{
        conn_free(((struct socket_carrier *)c)->conn);
        free(c);
}

static struct carrier *carrier_new(struct loop *loop, int owned_fd)
{
        static const struct carrier_ops ops = {.start = carrier_begin, .output = output, .flush = flush, .free = release};
        struct socket_carrier *s = xcalloc(1, sizeof(*s));

        s->carrier.ops = &ops;
        s->loop = loop;
        s->fd = owned_fd;
        return &s->carrier;
}

/* ---- the machine */

struct job_vm_waiter {
        job_ready_fn fn;
        void *userdata;
        struct job_vm_waiter *next;
};

static void wake(struct job_vm *vm, const struct error *why_not)
{
        struct job_vm_waiter *all = take_ptr(vm->waiters);

        while (all) {
                struct job_vm_waiter *w = all;
                all = w->next;
                w->fn(w->userdata, why_not);
                free(w);
        }
}

static void on_hello(void *userdata, struct json_object *parameters)
{
        (void)parameters;
        wake(userdata, NULL);
}

static void on_lost(void *userdata, const char *why)
{
        (void)userdata;
        (void)why;
}

static bool take_up(struct job_vm *vm);

static void on_channel_ended(void *userdata, const struct error *why)
{
        struct job_vm *vm = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_STATE, "VM '%s' has ended: %s", vm->name, why->message);
        channel_free(take_ptr(vm->channel));
        if (!take_up(vm)) /* else it was only the connection */
                wake(vm, &err);
}

static const struct channel_events events = {.hello = on_hello, .lost = on_lost, .ended = on_channel_ended};

static int dial_guest(const struct job_vm *vm)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/port", vm->folder);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                return -1;
        return take_fd(&fd);
}

static bool take_up(struct job_vm *vm)
{
        int fd = dial_guest(vm);

        if (fd < 0)
                return false;
        vm->channel = channel_new(vm->loop, carrier_new(vm->loop, fd), &events, vm);
        return true;
}

/* Returns when it serves. */
static bool boot(struct job_vm *vm)
{
        char *argv[] = {(char *)INITVM_TESTS "/lib/job_guest.py", vm->folder, NULL};
        int out[2];
        char ready[16];

        if (pipe2(out, O_CLOEXEC) < 0)
                abort();
        const struct process_fd fds[] = {{out[1], 1}, {STDERR_FILENO, 2}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .new_session = true};
        bool started = process_spawn(argv, &options, &vm->pid, NULL) == 0;
        close(out[1]);
        started = started && read(out[0], ready, sizeof(ready)) > 0;
        close(out[0]);
        vm->starts++;
        return started && take_up(vm);
}

static int find(void *userdata, const char *name, struct job_machine *ret, struct error *err)
{
        struct job_vm *vm = userdata;

        if (!streq(name, vm->name))
                return error_set(err, ERR_NOT_FOUND, "there is no VM '%s'", name);
        *ret = (struct job_machine){.cpus = vm->cpus,
                                    .suite = "bookworm",
                                    .architecture = "amd64",
                                    .acceleration = vm->channel ? "tcg" : NULL,
                                    .channel = vm->channel};
        return 0;
}

static void ready(void *userdata, const char *name, bool start, job_ready_fn fn, void *fn_userdata)
{
        struct job_vm *vm = userdata;
        struct error err = ERROR_INIT;
        struct job_vm_waiter *w;

        if (!streq(name, vm->name)) {
                error_set(&err, ERR_NOT_FOUND, "there is no VM '%s'", name);
        } else if (vm->endings > 0) {
                vm->endings--;
                error_set(&err, ERR_STATE, "VM '%s' has ended meanwhile: it was killed", name);
        } else if (!vm->channel && !take_up(vm) && !(start && boot(vm))) {
                error_set(&err, ERR_STATE, "VM '%s' has ended meanwhile", name);
        } else if (!channel_ready(vm->channel)) {
                w = xcalloc(1, sizeof(*w));
                *w = (struct job_vm_waiter){.fn = fn, .userdata = fn_userdata, .next = vm->waiters};
                vm->waiters = w;
                return;
        }
        fn(fn_userdata, err.code ? &err : NULL);
}

void job_vm_init(struct job_vm *vm, struct loop *loop, const char *name, const char *folder)
{
        *vm = (struct job_vm){.loop = loop, .name = name, .folder = xstrdup(folder), .cpus = 2};
}

void job_vm_done(struct job_vm *vm)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_STATE, "the test is over");
        wake(vm, &err);
        channel_free(take_ptr(vm->channel));
        free(take_ptr(vm->folder));
}

void job_vm_kill(struct job_vm *vm)
{
        if (vm->pid == 0)
                return;
        kill(vm->pid, SIGKILL);
        waitpid(vm->pid, NULL, 0);
        vm->pid = 0;
}

struct job_machines job_vm_machines(struct job_vm *vm)
{
        return (struct job_machines){.find = find, .ready = ready, .userdata = vm, .client = INITVM_TESTS "/lib/chroot_client"};
}
