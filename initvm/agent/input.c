/* SPDX-License-Identifier: MIT */
#include "agent/input.h"

#include "agent/pty.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Nobody tells when the end of a file was read from a terminal, or lost while a program changed the terminal's mode. */
#define EOF_AGAIN_MS 200

/* Nobody reads it: what is there and what still comes is dropped, and the host may go on sending. */
static void drop(struct input *in)
{
        size_t n = buf_size(&in->queue);

        loop_source_free(take_ptr(in->source));
        close(take_fd(&in->fd));
        buf_consume(&in->queue, n);
        stream_grant(in->stream, n);
}

static void end_when_passed_on(struct input *in);

static void on_eof_timer(void *userdata)
{
        end_when_passed_on(userdata);
}

static void end_when_passed_on(struct input *in)
{
        if (in->fd < 0 || buf_size(&in->queue) > 0)
                return;
        if (in->slave < 0) {
                drop(in);
                return;
        }
        if (pty_type_eof(in->fd, in->slave, in->line_begun))
                in->line_begun = false;
        if (!in->eof_timer)
                in->eof_timer = loop_add_timer(in->loop, on_eof_timer, in);
        loop_timer_arm(in->eof_timer, EOF_AGAIN_MS);
}

/* Writes as much as is taken; returns how much. */
static size_t pass_on(struct input *in, const uint8_t *data, size_t n)
{
        size_t done = 0;

        while (done < n) {
                ssize_t r = write(in->fd, data + done, n - done);

                if (r >= 0) {
                        done += (size_t)r;
                } else if (errno == EAGAIN) {
                        break;
                } else if (errno != EINTR) {
                        drop(in);
                        return n;
                }
        }
        if (done > 0)
                in->line_begun = data[done - 1] != '\n' && data[done - 1] != '\r';
        return done;
}

static void on_writable(void *userdata, uint32_t events)
{
        struct input *in = userdata;
        size_t n = buf_size(&in->queue);

        if (events & EPOLLERR) { /* the last reader has closed it: pipe(7) */
                drop(in);
                return;
        }
        if (n == 0)
                return;
        n = pass_on(in, buf_head(&in->queue), n);
        if (in->fd < 0)
                return;
        buf_consume(&in->queue, n);
        stream_grant(in->stream, n);
        if (in->ended)
                end_when_passed_on(in);
}

void input_open(struct input *in, struct loop *loop, struct stream *stream, int fd, int slave)
{
        in->loop = loop;
        in->stream = stream;
        in->fd = fd;
        in->slave = slave;
        in->source = loop_add_fd(loop, fd, EPOLLOUT | EPOLLET, on_writable, in);
}

void input_close(struct input *in)
{
        loop_source_free(take_ptr(in->source));
        loop_source_free(take_ptr(in->eof_timer));
        if (in->fd >= 0)
                close(take_fd(&in->fd));
        buf_done(&in->queue);
}

void input_data(struct input *in, const uint8_t *data, size_t n)
{
        size_t done = n;

        if (in->fd >= 0 && !in->ended) {
                done = buf_size(&in->queue) == 0 ? pass_on(in, data, n) : 0;
                buf_append(&in->queue, data + done, n - done);
        }
        stream_grant(in->stream, done);
}

void input_end(struct input *in)
{
        if (!in->ended) {
                in->ended = true;
                end_when_passed_on(in);
        }
}
