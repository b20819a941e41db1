/* SPDX-License-Identifier: MIT */
#include "cli/ssh_config.h"

#include "cli/daemon.h"
#include "cli/terminal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is said in a line of ssh_config(5) cannot hold the end of that line; "${" is a variable there, and cannot be escaped. */
static int check_path(const char *path, struct error *err)
{
        if (path && (strpbrk(path, "\n\r") || strstr(path, "${")))
                return error_set(err, ERR_INVALID, "ssh cannot be given the path '%s': use one without '${' and line ends", path);
        return 0;
}

/* In double quotes, with '%' doubled: ssh_config(5), first paragraphs and TOKENS. */
static void append_path(struct buf *out, const char *path)
{
        buf_printf(out, "\"");
        for (; *path; path++) {
                if (*path == '"' || *path == '\\')
                        buf_printf(out, "\\");
                buf_printf(out, *path == '%' ? "%%%%" : "%c", *path);
        }
        buf_printf(out, "\"");
}

/* As a word of the command line that ssh gives to a shell, with '%' doubled: ssh_config(5), ProxyCommand. */
static void append_word(struct buf *out, const char *word)
{
        buf_printf(out, "'");
        for (; *word; word++)
                if (*word == '\'')
                        buf_printf(out, "'\\''");
                else
                        buf_printf(out, *word == '%' ? "%%%%" : "%c", *word);
        buf_printf(out, "'");
}

char *ssh_config_text(const struct ssh_config *c, struct error *err)
{
        autobuf struct buf out = {0};

        if (check_path(c->identity_file, err) < 0 || check_path(c->known_hosts_file, err) < 0 ||
            check_path(c->program, err) < 0 || check_path(c->home, err) < 0)
                return NULL;
        buf_printf(&out, "Host %s\n    ProxyCommand ", c->alias);
        if (c->home) {
                buf_printf(&out, "env INITVM_HOME=");
                append_word(&out, c->home);
                buf_printf(&out, " ");
        }
        append_word(&out, c->program);
        buf_printf(&out, " -n %s proxy\n    User %s\n    IdentityFile ", c->vm, c->user);
        append_path(&out, c->identity_file);
        buf_printf(&out, "\n    IdentitiesOnly yes\n    PreferredAuthentications publickey\n    HostKeyAlias %s\n", c->alias);
        buf_printf(&out, "    UserKnownHostsFile ");
        append_path(&out, c->known_hosts_file);
        buf_printf(&out, "\n    GlobalKnownHostsFile /dev/null\n    StrictHostKeyChecking yes\n    UpdateHostKeys no\n");
        return buf_take_string(&out);
}

static void warn_differs(const struct invocation *inv)
{
        fprintf(stderr,
                "initvm: %swarning:%s the SSH host key of VM '%s' is not the one that was pinned, and ssh will refuse it; when "
                "you "
                "have made a new one in the VM, 'initvm -n %s ssh-config --renew-host-key' pins that\n",
                terminal_style(STDERR_FILENO, STYLE_YELLOW), terminal_style(STDERR_FILENO, STYLE_RESET), inv->name, inv->name);
}

int ssh_config_prepare(const struct invocation *inv, bool renew_host_key, struct json_object **ret_reply, char **ret_text,
                       struct error *err)
{
        autojson struct json_object *parameters = json_new(), *reply = NULL;
        autoclient struct client *c = NULL;
        const char *home = getenv("INITVM_HOME");
        char program[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
        struct ssh_config config = {.program = "initvm", .home = home && *home ? home : NULL, .vm = inv->name};

        json_add_string(parameters, "name", inv->name);
        if (renew_host_key)
                json_add_bool(parameters, "renewHostKey", true);
        if (daemon_connect(&c, err) < 0 ||
            client_call(c, "org.initvm.PrepareSsh", take_ptr(parameters), 0, AGENT_CALL_DEADLINE_MS, &reply, err) < 0)
                return -1;
        if (n > 0) {
                program[n] = '\0';
                config.program = program;
        }
        config.alias = json_get_string(reply, "hostKeyAlias", "");
        config.user = json_get_string(reply, "user", "root");
        config.identity_file = json_get_string(reply, "identityFile", "");
        config.known_hosts_file = json_get_string(reply, "knownHostsFile", "");
        *ret_text = ssh_config_text(&config, err);
        if (!*ret_text)
                return -1;
        if (json_get_bool(reply, "hostKeyDiffers", false))
                warn_differs(inv);
        *ret_reply = take_ptr(reply);
        return 0;
}
