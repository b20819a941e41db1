/* SPDX-License-Identifier: MIT */
#include "ssh/upload.h"

#include "base/file.h"
#include "ssh/deadline.h"
#include "ssh/remote_agent.h"

#include <fcntl.h>
#include <libssh/sftp.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_SIZE_MAX (64u << 20)
#define WRITE_SIZE     (32u * 1024) /* what every SFTP server takes at once (draft-ietf-secsh-filexfer-02, section 3) */

/* SSH_FX_… in words; the draft's own, section 7. */
static const char *sftp_error_text(int code)
{
        switch (code) {
        case SSH_FX_NO_SUCH_FILE:
        case SSH_FX_NO_SUCH_PATH:
                return "no such file or folder";
        case SSH_FX_PERMISSION_DENIED:
        case SSH_FX_WRITE_PROTECT:
                return "permission denied";
        case SSH_FX_FAILURE:
                return "failed (no space?)";
        case SSH_FX_NO_CONNECTION:
        case SSH_FX_CONNECTION_LOST:
                return "the connection was lost";
        default:
                return "not possible";
        }
}

static int sftp_failed(struct connection *c, sftp_session sftp, const char *what, struct error *err)
{
        return error_set(err, connection_alive(c) ? ERR_FAILED : ERR_DISCONNECTED, "uploading the agent: %s: %s", what,
                         sftp_error_text(sftp_get_error(sftp)));
}

/* A folder that is there already is what we want; a failure shows when the file is opened. */
static void make_folders(sftp_session sftp)
{
        char path[] = UPLOADED_AGENT_FOLDER;

        for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                sftp_mkdir(sftp, path, 0755);
                *slash = '/';
        }
        sftp_mkdir(sftp, path, 0755);
}

static int write_file(struct connection *c, sftp_session sftp, const char *path, const char *data, size_t n, struct error *err)
{
        sftp_file file = sftp_open(sftp, path, O_WRONLY | O_CREAT | O_EXCL, 0700);

        if (!file)
                return sftp_failed(c, sftp, path, err);
        while (n > 0) {
                size_t part = MIN(n, (size_t)WRITE_SIZE);
                if (sftp_write(file, data, part) != (ssize_t)part) {
                        sftp_failed(c, sftp, path, err);
                        sftp_close(file);
                        return -1;
                }
                data += part;
                n -= part;
        }
        return sftp_close(file) == SSH_NO_ERROR ? 0 : sftp_failed(c, sftp, path, err);
}

/* SFTP's own rename does not replace (draft, section 6.5), and a server need not have OpenSSH's that does. */
static int put_in_place(struct connection *c, sftp_session sftp, const char *path, struct error *err)
{
        if (sftp_chmod(sftp, path, 0755) < 0)
                return sftp_failed(c, sftp, path, err);
        if (sftp_rename(sftp, path, UPLOADED_AGENT_PATH) == 0)
                return 0;
        sftp_unlink(sftp, UPLOADED_AGENT_PATH);
        return sftp_rename(sftp, path, UPLOADED_AGENT_PATH) == 0 ? 0 : sftp_failed(c, sftp, UPLOADED_AGENT_PATH, err);
}

static int put(struct connection *c, sftp_session sftp, const char *data, size_t n, struct error *err)
{
        uint64_t unique;
        autofree char *path = NULL;

        random_bytes(&unique, sizeof(unique));
        path = xasprintf("%s.%016llx", UPLOADED_AGENT_PATH, (unsigned long long)unique);
        make_folders(sftp);
        if (write_file(c, sftp, path, data, n, err) == 0 && put_in_place(c, sftp, path, err) == 0)
                return 0;
        if (connection_alive(c))
                sftp_unlink(sftp, path);
        return -1;
}

int upload_agent(struct connection *c, const struct request *r, struct error *err)
{
        size_t n;
        autofree char *data = file_read(r->agent_binary, AGENT_SIZE_MAX, &n, err);
        sftp_session sftp;
        int result;

        if (!data)
                return error_prefix(err, "the agent to be uploaded");
        deadline_begin(c->fd, r->timeout_ms * UPLOAD_FACTOR);
        sftp = sftp_new(c->session);
        if (!sftp || sftp_init(sftp) < 0)
                result = connection_error(c, false, err, "the other side has no agent that will do, and no SFTP to upload one");
        else
                result = put(c, sftp, data, n, err);
        if (sftp)
                sftp_free(sftp);
        if (deadline_end())
                return connection_error(c, true, err, "uploading the agent");
        return result;
}
