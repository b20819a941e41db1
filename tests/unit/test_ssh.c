/* SPDX-License-Identifier: MIT */
/*
 * initvm-ssh against a real sshd with the real agent behind it: what it carries, what it refuses, what it does when the other
 * side goes away or is silent.
 */
#include "scratch.h"
#include "ssh_link.h"

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "wire/agent_version.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define VOLUME (20u << 20)

/* Room that the program may take over what it had before a flood: the windows of both sides, a few blocks, ASan's margins. */
#define GROWTH_MAX (12u << 20)

static bool has_please(void *userdata)
{
        return ((struct host *)userdata)->pleases > 0;
}

static void test_connects(void **state)
{
        struct link *l = link_new(state);
        autofree char *path = NULL;
        struct host *h;

        link_start(l);
        link_wait_state(l, "connected", &path);
        assert_string_equal(path, l->agent);
        h = link_host(l);
        assert_true(host_until(h, LINK_DEADLINE_MS, has_please, h));
        host_sync(h, true);
        assert_int_equal(json_get_u64(h->hello, "protocolMax", 0), AGENT_PROTOCOL_MAX);
        assert_carries(h);
        host_detach(h);
        link_stop(l);
}

static void test_volume(void **state)
{
        struct link *l = link_new(state);
        struct host *h;
        struct run *r;

        link_start(l);
        link_wait_state(l, "connected", NULL);
        h = link_host(l);
        host_sync(h, true);
        r = host_exec(h, "cat", NULL);
        r->echo = true;
        r->to_send = VOLUME;
        host_wait(h, r);
        assert_int_equal(r->received[CHANNEL_STDOUT], VOLUME);
        assert_int_equal(r->exited, 0);
        host_detach(h);
        link_stop(l);
}

static void test_other_host_key(void **state)
{
        struct link *l = link_new(state);
        autofree char *other = ssh_make_key(*state, "other"), *other_public = ssh_public_key(other);
        struct error err;

        link_set(&l->known_hosts, link_write_known_hosts(state, LINK_ALIAS, other_public));
        link_start(l);
        link_wait_error(l, ERR_DENIED, &err);
        assert_says(err.message, "HOST KEY");
        assert_non_null(strstr(strstr(err.message, "SHA256:") + 1, "SHA256:")); /* theirs and ours */
        assert_says(err.message, l->known_hosts);
        link_stop(l);
}

static void test_unknown_host(void **state)
{
        struct link *l = link_new(state);
        struct error err;

        link_set(&l->known_hosts, link_write_known_hosts(state, "another-vm", l->server->host_key));
        link_start(l);
        link_wait_error(l, ERR_DENIED, &err);
        assert_says(err.message, "is not known");
        assert_says(err.message, "SHA256:");
        link_stop(l);

        tree_remove(*state, NULL);
        mkdir(*state, 0700);
        l = link_new(state);
        unlink(l->known_hosts);
        link_start(l);
        link_wait_error(l, ERR_NOT_FOUND, &err);
        assert_says(err.message, l->known_hosts);
        link_stop(l);
}

static void test_wrong_key(void **state)
{
        struct link *l = link_new(state);
        struct error err;

        link_set(&l->identity, ssh_make_key(*state, "stranger"));
        link_start(l);
        link_wait_error(l, ERR_DENIED, &err);
        assert_says(err.message, "does not let");
        assert_says(err.message, l->identity);
        link_stop(l);
}

static void test_no_key(void **state)
{
        struct link *l = link_new(state);
        struct error err;

        unsetenv("SSH_AUTH_SOCK");
        link_set(&l->identity, NULL);
        link_start(l);
        link_wait_error(l, ERR_INVALID, &err);
        assert_says(err.message, "SSH_AUTH_SOCK");
        link_stop(l);
}

static void test_ssh_agent(void **state)
{
        struct link *l = link_new(state);
        autofree char *socket_path = scratch_path(state, "agent.sock");
        char *const argv[] = {(char *)"ssh-agent", (char *)"-D", (char *)"-a", socket_path, NULL};
        struct error err = ERROR_INIT;
        struct host *h;
        int out[2];
        pid_t pid;
        char c;

        assert_return_code(pipe2(out, O_CLOEXEC), errno);
        const struct process_fd fds[] = {{.from = out[1], .to = STDOUT_FILENO}};
        const struct process_options options = {.fds = fds, .n_fds = 1, .death_signal = SIGKILL};
        assert_return_code(process_spawn(argv, &options, &pid, &err), 0);
        close(out[1]);
        assert_true(read(out[0], &c, 1) == 1); /* with -D it says its socket once it listens there */
        close(out[0]);
        setenv("SSH_AUTH_SOCK", socket_path, 1);
        run_program("ssh-add", "-q", l->identity, NULL);
        link_set(&l->identity, NULL);
        link_start(l);
        link_wait_state(l, "connected", NULL);
        unsetenv("SSH_AUTH_SOCK");
        h = link_host(l);
        host_sync(h, true);
        assert_carries(h);
        host_detach(h);
        link_stop(l);
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
}

static size_t count_fds(pid_t pid)
{
        autofree char *path = xasprintf("/proc/%d/fd", pid);
        DIR *d = opendir(path);
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static void test_reconnects(void **state)
{
        struct link *l = link_new(state);
        autofree char *reason = NULL;
        struct host *h;
        struct run *r;
        size_t fds;

        link_start(l);
        link_wait_state(l, "connected", NULL);
        h = link_host(l);
        host_sync(h, true);
        r = host_exec(h, "cat", "/dev/zero", NULL);
        host_wait_output(h, r, 1u << 20);
        ssh_server_kill(l->server);
        link_wait_state(l, "waiting", &reason);
        assert_true(*reason);
        link_wait_state(l, "waiting", NULL); /* nobody listens: it goes on trying */
        fds = count_fds(l->pid);
        h->pleases = 0;
        ssh_server_start(l->server);
        link_wait_state(l, "connected", NULL);
        /* The stream is cut where it was cut; the new agent's greeting is found in it. */
        h->synced = false;
        assert_true(host_until(h, LINK_DEADLINE_MS, has_please, h));
        host_sync(h, true);
        assert_carries(h);
        assert_int_equal(count_fds(l->pid), fds + 1); /* nothing is left of the connection before */
        host_detach(h);
        link_stop(l);
}

static void test_agent_that_ends(void **state)
{
        struct link *l = link_new(state);
        autofree char *reason = NULL;

        link_fake_agent(state, l, "echo 'no such luck' >&2; exit 3");
        link_start(l);
        link_wait_state(l, "connected", NULL);
        link_wait_state(l, "waiting", &reason);
        assert_says(reason, "exit status 3");
        assert_says(reason, "no such luck");
        link_wait_state(l, "connected", NULL);
        link_stop(l);
}

static int listen_silently(uint16_t *ret_port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_return_code(bind(fd, (struct sockaddr *)&address, size), errno);
        assert_return_code(listen(fd, 16), errno);
        assert_return_code(getsockname(fd, (struct sockaddr *)&address, &size), errno);
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static void test_silent_server(void **state)
{
        struct link *l = link_new(state);
        int fd = listen_silently(&l->port);
        autofree char *reason = NULL;
        uint64_t begun = now_ms();
        size_t fds;

        l->timeout = 300;
        link_start(l);
        link_wait_state(l, "waiting", &reason);
        assert_says(reason, "no SSH server greeted in time");
        assert_in_range(now_ms() - begun, 250, 5000);
        fds = count_fds(l->pid);
        for (int i = 0; i < 2; i++)
                link_wait_state(l, "waiting", NULL);
        assert_int_equal(count_fds(l->pid), fds);
        close(fd);
        link_stop(l);
}

/* Greets, and says nothing more. */
static void test_silent_after_greeting(void **state)
{
        struct link *l = link_new(state);
        autoclose int listener = listen_silently(&l->port), fd = -1;
        autofree char *reason = NULL;

        l->timeout = 300;
        link_start(l);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_return_code(fd, errno);
        assert_int_equal(write(fd, "SSH-2.0-Silent\r\n", 16), 16);
        link_wait_state(l, "waiting", &reason);
        assert_says(reason, "handshake: the other side did not answer in time");
        link_stop(l);
}

static void test_nobody_listens(void **state)
{
        struct link *l = link_new(state);
        autofree char *reason = NULL;
        int fd = listen_silently(&l->port);

        close(fd);
        link_start(l);
        link_wait_state(l, "waiting", &reason);
        assert_says(reason, "refused");
        link_stop(l);
}

static void test_dead_peer(void **state)
{
        struct link *l = link_new(state);
        autofree char *reason = NULL;
        struct host *h;

        l->silence = 1200;
        link_start(l);
        link_wait_state(l, "connected", NULL);
        h = link_host(l);
        host_sync(h, true);
        host_for(h, 2500); /* nothing to carry, but the server lives */
        assert_carries(h);
        ssh_server_signal_connections(l->server, SIGSTOP);
        link_wait_state(l, "waiting", &reason);
        assert_says(reason, "keepalives");
        link_wait_state(l, "connected", NULL);
        host_detach(h);
        link_stop(l);
}

static void test_daemon_does_not_read(void **state)
{
        struct link *l = link_new(state);
        autofree char *reason = NULL;
        uint64_t before;

        link_fake_agent(state, l, "exec cat /dev/zero");
        link_start(l);
        link_wait_state(l, "connected", NULL);
        before = process_rss(l->pid);
        poll(NULL, 0, 1500);
        assert_true(process_rss(l->pid) < before + GROWTH_MAX);
        ssh_server_kill(l->server); /* what nobody takes does not hide that the connection is lost */
        link_wait_state(l, "waiting", &reason);
        assert_says(reason, "was lost");
        link_stop(l);
}

static void test_agent_does_not_read(void **state)
{
        static const uint8_t block[65536];
        struct link *l = link_new(state);
        uint64_t before, sent = 0;
        struct pollfd p;

        link_fake_agent(state, l, "exec tail -f /dev/null");
        link_start(l);
        link_wait_state(l, "connected", NULL);
        before = process_rss(l->pid);
        p = (struct pollfd){.fd = l->bytes, .events = POLLOUT};
        while (poll(&p, 1, 1000) == 1) {
                ssize_t n = send(l->bytes, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
                assert_true(n > 0 || errno == EAGAIN);
                sent += n > 0 ? (uint64_t)n : 0;
                assert_in_range(sent, 0, 64u << 20);
        }
        assert_true(sent > 0);
        assert_true(process_rss(l->pid) < before + GROWTH_MAX);
        link_stop(l);
}

static void test_ends_with_the_daemon(void **state)
{
        struct link *l = link_new(state);

        link_start(l);
        link_wait_state(l, "connected", NULL);
        close(l->bytes);
        l->bytes = -1;
        assert_int_equal(link_wait_exit(l), 0);
        link_spawn(l);
        link_call(l);
        link_wait_state(l, "connected", NULL);
        close(l->control);
        l->control = -1;
        assert_int_equal(link_wait_exit(l), 0);
        link_stop(l);
}

static void test_bad_calls(void **state)
{
        static const struct {
                const char *call;
                enum error_code code;
        } cases[] = {
                {"{\"method\":\"org.initvm.ssh.Else\",\"more\":true,\"parameters\":{}}", ERR_PROTOCOL},
                {"{\"method\":\"org.initvm.ssh.Connect\",\"parameters\":{}}", ERR_PROTOCOL},
                {"{\"method\":\"org.initvm.ssh.Connect\",\"more\":true,\"parameters\":{\"host\":\"h\"}}", ERR_INVALID},
                {"{\"method\":\"org.initvm.ssh.Connect\",\"more\":true,\"parameters\":{\"host\":\"h\",\"port\":0,"
                 "\"hostKeyAlias\":\"a\","
                 "\"knownHosts\":\"k\",\"user\":\"u\",\"agentPath\":\"/a\",\"agentBinary\":\"/a\"}}",
                 ERR_INVALID},
                {"{\"method\":\"org.initvm.ssh.Connect\",\"more\":true,\"parameters\":{\"host\":\"h\",\"port\":1,"
                 "\"hostKeyAlias\":\"a\","
                 "\"knownHosts\":\"k\",\"user\":\"u\",\"agentPath\":\"/a; rm -rf /\",\"agentBinary\":\"/a\"}}",
                 ERR_INVALID},
                {"{\"method\":\"org.initvm.ssh.Connect\",\"more\":true,\"parameters\":{\"host\":\"h\",\"port\":1,"
                 "\"hostKeyAlias\":\"a\","
                 "\"knownHosts\":\"k\",\"user\":\"u\",\"agentPath\":\"/a\",\"agentBinary\":\"/a\",\"timeout\":1}}",
                 ERR_INVALID},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct link *l = xcalloc(1, sizeof(*l));
                struct error err;
                (void)state;
                link_spawn(l);
                assert_return_code(fd_write_all(l->control, cases[i].call, strlen(cases[i].call) + 1), errno);
                link_wait_error(l, cases[i].code, &err);
                assert_true(*err.message);
                close(l->control);
                close(l->bytes);
                buf_done(&l->in);
                free(l);
        }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_connects),
                TEST(test_volume),
                TEST(test_other_host_key),
                TEST(test_unknown_host),
                TEST(test_wrong_key),
                TEST(test_no_key),
                TEST(test_ssh_agent),
                TEST(test_reconnects),
                TEST(test_agent_that_ends),
                TEST(test_silent_server),
                TEST(test_silent_after_greeting),
                TEST(test_nobody_listens),
                TEST(test_dead_peer),
                TEST(test_daemon_does_not_read),
                TEST(test_agent_does_not_read),
                TEST(test_ends_with_the_daemon),
                TEST(test_bad_calls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
