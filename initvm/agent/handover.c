/* SPDX-License-Identifier: MIT */
#include "agent/handover.h"

#include "agent/exec.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void handover_add_bytes(struct json_object *o, const char *key, const struct buf *queue, struct buf *bytes)
{
        struct json_object *place = json_new();

        json_add_u64(place, "offset", buf_size(bytes));
        json_add_u64(place, "size", buf_size(queue));
        json_add(o, key, place);
        buf_append(bytes, buf_head(queue), buf_size(queue));
}

int handover_get_bytes(struct json_object *place, const struct buf *bytes, struct buf *ret_queue, struct error *err)
{
        uint64_t offset = 0, size = 0;
        const struct json_field fields[] = {
                {"offset", JSON_FIELD_U64, JSON_REQUIRED, &offset},
                {"size", JSON_FIELD_U64, JSON_REQUIRED, &size},
        };

        if (json_read(place, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (offset > buf_size(bytes) || size > buf_size(bytes) - offset)
                return error_set(err, ERR_INVALID, "bytes %llu to %llu of %zu cannot be", (unsigned long long)offset,
                                 (unsigned long long)(offset + size), buf_size(bytes));
        if (size > 0)
                buf_append(ret_queue, buf_head(bytes) + offset, size);
        return 0;
}

void handover_add_fd(struct json_object *o, const char *key, int fd)
{
        if (fd < 0)
                return;
        fcntl(fd, F_SETFD, 0);
        json_add_u64(o, key, (uint64_t)fd);
}

int handover_get_fd(struct json_object *o, const char *key, int *ret_fd, struct error *err)
{
        uint64_t fd = json_get_u64(o, key, UINT64_MAX);

        *ret_fd = -1;
        if (fd == UINT64_MAX)
                return 0;
        if (fd < 3 || fd > INT_MAX || fcntl((int)fd, F_GETFD) < 0)
                return error_set(err, ERR_INVALID, "'%s' is no open file descriptor", key);
        *ret_fd = (int)fd;
        return 0;
}

/* ---- giving */

static struct json_object *save(struct agent *agent, struct buf *bytes)
{
        struct json_object *o = json_new(), *port = json_new();

        handover_add_fd(port, "fd", agent->port->fd);
        handover_add_fd(port, "out", agent->port->out);
        json_add_bool(port, "device", agent->port->device);
        json_add(o, "port", port);
        json_add_u64(o, "filesSoft", agent->nofile.rlim_cur);
        json_add_u64(o, "filesHard", agent->nofile.rlim_max);
        json_add(o, "commands", exec_save(agent, bytes));
        json_add(o, "mux", mux_save(agent->mux, bytes));
        return o;
}

/* Everything as a memfd that an execve(2) leaves open; -1 when there is no memory for it. */
static int write_down(struct agent *agent)
{
        autobuf struct buf bytes = {0};
        autojson struct json_object *o = save(agent, &bytes);
        const char *line = json_line(o);
        autoclose int fd = memfd_create("initvm-agent", 0);

        if (fd < 0 || fd_write_all(fd, line, strlen(line) + 1) < 0 || fd_write_all(fd, buf_head(&bytes), buf_size(&bytes)) < 0)
                return -1;
        return take_fd(&fd);
}

static void hand_over(void *userdata)
{
        struct agent *agent = userdata;
        autofree char *program = NULL, *number = NULL;
        int fd;

        if (!agent->new_program || agent->n_starting > 0 || agent->ended)
                return;
        program = take_ptr(agent->new_program);
        fd = write_down(agent);
        number = xasprintf("%d", fd);
        if (fd >= 0) {
                char *const argv[] = {(char *)"initvm-agent", (char *)"--resume", number, NULL};

                execv(program, argv);
        }
        log_error("'%s' cannot be executed in the agent's place: %s", program, strerror(errno));
        close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
        cleanup_close(&fd);
}

void handover_soon(struct agent *agent)
{
        if (agent->new_program)
                loop_post(agent->loop, hand_over, agent); /* in between events: nothing is half done then */
}

/* ---- taking */

static int read_down(int fd, struct json_object **ret, struct buf *bytes, struct error *err)
{
        autofree char *path = xasprintf("/proc/self/fd/%d", fd);
        size_t size = 0, length;
        autofree char *text = file_read(path, HANDOVER_SIZE_MAX, &size, err);

        if (!text)
                return -1;
        length = strnlen(text, size);
        *ret = json_parse(text, length, err);
        if (!*ret)
                return -1;
        if (length < size)
                buf_append(bytes, text + length + 1, size - length - 1);
        return 0;
}

static int resume(struct agent *agent, struct port *port, struct json_object *saved, const struct buf *bytes,
                  const struct mux_handler *handler, struct error *err)
{
        struct json_object *port_saved = NULL, *commands = NULL, *mux = NULL;
        uint64_t soft = 0, hard = 0;
        const struct json_field fields[] = {
                {"port", JSON_FIELD_OBJECT, JSON_REQUIRED, &port_saved}, {"filesSoft", JSON_FIELD_U64, JSON_REQUIRED, &soft},
                {"filesHard", JSON_FIELD_U64, JSON_REQUIRED, &hard},     {"commands", JSON_FIELD_ARRAY, JSON_REQUIRED, &commands},
                {"mux", JSON_FIELD_OBJECT, JSON_REQUIRED, &mux},
        };

        if (json_read(saved, fields, ARRAY_SIZE(fields), err) < 0 || handover_get_fd(port_saved, "fd", &port->fd, err) < 0 ||
            handover_get_fd(port_saved, "out", &port->out, err) < 0)
                return -1;
        port->device = json_get_bool(port_saved, "device", true);
        agent->nofile = (struct rlimit){.rlim_cur = soft, .rlim_max = hard};
        agent->port = port;
        agent->mux = mux_resume(agent->loop, port, handler, agent, mux, bytes, err);
        if (!agent->mux || exec_resume(agent, commands, bytes, err) < 0)
                return -1;
        mux_resumed(agent->mux);
        return 0;
}

int handover_resume(struct agent *agent, struct port *port, int fd, const struct mux_handler *handler, struct error *err)
{
        autojson struct json_object *saved = NULL;
        autobuf struct buf bytes = {0};

        close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
        if (read_down(fd, &saved, &bytes, err) < 0)
                return -1;
        close(fd);
        return resume(agent, port, saved, &bytes, handler, err);
}
