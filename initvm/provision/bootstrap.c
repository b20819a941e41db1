/* SPDX-License-Identifier: MIT */
/* The stages of bootstrap in their order, and the cleaning up after them. */
#include "provision/bootstrap.h"

#include "base/file.h"
#include "base/util.h"
#include "provision/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* qemu-img and sfdisk work steadily; silence this long means a dead disk. */
#define TOOL_TIMEOUT 300

static void set_environment(struct bootstrap *b)
{
        static const char *const passed[] = {"HOME",       "http_proxy",  "https_proxy", "no_proxy",
                                             "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",    RUN_FOLDER_VARIABLE};

        strv_add(&b->environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        strv_add(&b->environment, "LC_ALL=C.UTF-8");
        strv_add(&b->environment, "TERM=dumb");
        /* Keeps the kernel's package from making an initrd before our settings for it are there. */
        strv_add(&b->environment, "INITRD=No");
        strv_addf(&b->environment, "TMPDIR=%s", b->temporary);
        strv_addf(&b->environment, "INITVM_PROVISION=/proc/self/fd/%d", HOOK_FD_PROGRAM);
        for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
                if (getenv(passed[i]))
                        strv_addf(&b->environment, "%s=%s", passed[i], getenv(passed[i]));
}

/* Makes the folders. The one of an unprivileged run is reached by its subordinate users, its name is written down first. */
static int make_folders(struct bootstrap *b, struct error *err)
{
        const char *base = getenv("TMPDIR");
        autofree char *note = xasprintf("%s/tmpdir", b->request->folder);
        uint8_t r[8];

        b->work = xasprintf("%s/work", b->request->folder);
        b->raw = xasprintf("%s/disk.raw", b->work);
        if (dir_make(b->work, b->privileged ? 0711 : 0700, err) < 0)
                return -1;
        if (b->privileged) {
                b->temporary = xasprintf("%s/tmp", b->work);
        } else {
                random_bytes(r, sizeof(r));
                b->temporary =
                        xasprintf("%s/initvm-%u-%02x%02x%02x%02x%02x%02x%02x%02x", base && base[0] == '/' ? base : "/var/tmp",
                                  geteuid(), r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
                if (file_write_atomic(note, 0600, b->temporary, strlen(b->temporary), err) < 0)
                        return -1;
        }
        b->keys = xasprintf("%s/keys", b->temporary);
        if (mkdir(b->temporary, 0711) < 0 || chmod(b->temporary, 0711) < 0)
                return error_errno(err, errno, "cannot make '%s'", b->temporary);
        return 0;
}

/* What subordinate users own only they can remove. Not to be cancelled: it is what cancelling waits for. */
static void remove_as_subordinate(const struct bootstrap *b)
{
        char *const argv[] = {"mmdebstrap", "--unshare-helper", "rm", "-rf", "--one-file-system", b->temporary, NULL};
        const struct process_options options = {.environment = b->environment, .cwd = "/", .new_group = true};
        pid_t pid;

        /* To them the folder is somebody else's, and they have to list it. It is the last that is seen of it. */
        chmod(b->temporary, 0755);
        if (process_spawn(argv, &options, &pid, NULL) == 0)
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
}

static int remove_folders(struct bootstrap *b, struct error *err)
{
        autofree char *note = xasprintf("%s/tmpdir", b->request->folder);

        if (b->temporary && !b->privileged) {
                if (access(b->temporary, F_OK) == 0 && tree_remove(b->temporary, NULL) < 0)
                        remove_as_subordinate(b);
                if (tree_remove(b->temporary, err) < 0 || tree_remove(note, err) < 0)
                        return -1;
        }
        return b->work ? tree_remove(b->work, err) : 0;
}

static int make_plan(struct bootstrap *b, struct error *err)
{
        size_t n;

        b->image = image_load(b->request->image, err);
        if (!b->image)
                return -1;
        b->preseed_text = file_read(b->request->preseed, PRESEED_FILE_MAX, &n, err);
        if (!b->preseed_text)
                return -1;
        b->preseed = preseed_parse(b->request->preseed, b->preseed_text, n, err);
        if (!b->preseed)
                return -1;
        b->plan = plan_new(b->image, b->preseed, &b->overrides, err);
        if (!b->plan || disk_layout_init(&b->layout, b->plan, err) < 0)
                return -1;
        for (char **w = b->plan->warnings; w && *w; w++)
                run_warning(b->run, *w);
        return 0;
}

/* The raw disk: its table, empty swap, and room for the root. */
static int make_disk(struct bootstrap *b, struct error *err)
{
        autofree char *script = disk_sfdisk_script(&b->layout), *script_path = xasprintf("%s/sfdisk", b->work);
        autofree char *efi_blocks = xasprintf("%llu", (unsigned long long)b->layout.boot_size / 1024);
        autofree char *efi_offset = xasprintf("--offset=%llu", (unsigned long long)b->layout.boot_start / 512);
        autofree char *efi_id = xasprintf("%.4s%.4s", b->layout.efi_id, b->layout.efi_id + 5);
        autoclose int fd = open(b->raw, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), in = -1;
        char *const sfdisk[] = {"sfdisk", "-q", "--no-reread", "--no-tell-kernel", "--wipe=never", b->raw, NULL};
        char *const fat[] = {"mkfs.fat", "-F", "32", "-i", efi_id, efi_offset, b->raw, efi_blocks, NULL};
        struct run_tool tool = {.argv = sfdisk, .environment = b->environment, .timeout = TOOL_TIMEOUT};
        struct process_fd stdin_fd = {.to = 0};

        if (fd < 0 || ftruncate(fd, (off_t)b->layout.size) < 0)
                return error_errno(err, errno, "making a disk of %s in '%s'", format_size(b->layout.size), b->work);
        /* The file is reopened by the user namespace's root, whom the file belongs to as little as to others: its folder is what
         * keeps others out. */
        if (!b->privileged && fchmod(fd, 0666) < 0)
                return error_errno(err, errno, "making the disk");
        if (file_write_atomic(script_path, 0600, script, strlen(script), err) < 0)
                return -1;
        stdin_fd.from = in = open(script_path, O_RDONLY | O_CLOEXEC);
        tool.fds = &stdin_fd;
        tool.n_fds = 1;
        if (in < 0 || run_tool(b->run, &tool, err) < 0)
                return run_explain_cause(b->run, b->request->folder, err);
        if (disk_write_swap(fd, &b->layout, err) < 0)
                return -1;
        tool = (struct run_tool){.argv = fat, .environment = b->environment, .timeout = TOOL_TIMEOUT};
        return b->layout.efi && run_tool(b->run, &tool, err) < 0 ? run_explain_cause(b->run, b->request->folder, err) : 0;
}

/* "    (12.34/100%)" */
static void convert_line(void *userdata, const char *line)
{
        struct bootstrap *b = userdata;
        double percent;

        if (sscanf(line, " (%lf/100%%)", &percent) == 1)
                run_update(b->run, "writing buildenv.img", (int)percent);
}

static int make_image(struct bootstrap *b, struct error *err)
{
        autofree char *image = xasprintf("%s/buildenv.img", b->request->folder);
        char *const argv[] = {"qemu-img", "convert", "-p", "-f", "raw", "-O", "qcow2", "-W", "-m", "16", b->raw, image, NULL};
        const struct run_tool tool = {
                .argv = argv, .environment = b->environment, .timeout = TOOL_TIMEOUT, .line = convert_line, .userdata = b};

        run_stage(b->run, "image", "writing buildenv.img");
        umask(077);
        if (run_tool(b->run, &tool, err) < 0)
                return run_explain_cause(b->run, b->request->folder, err);
        if (chmod(image, 0600) < 0)
                return error_errno(err, errno, "'%s'", image);
        return 0;
}

static void add_step(struct json_object *array, const char *stage, const char *text)
{
        struct json_object *o = json_new();
        autostrv char **argv = NULL;

        strv_add(&argv, "/usr/lib/initvm/finish");
        strv_add(&argv, stage);
        json_add_string(o, "stage", stage);
        json_add_string(o, "text", text);
        json_add(o, "argv", json_from_strv(argv));
        json_object_array_add(array, o);
}

/* What the daemon needs for the first boot and the machine's record. */
static struct json_object *result(const struct bootstrap *b)
{
        struct json_object *o = json_new(), *finish = json_object_new_array();
        autofree char *command_line = xasprintf("root=UUID=%s ro%s%s", b->layout.root_uuid, *b->plan->kernel_options ? " " : "",
                                                b->plan->kernel_options);

        if (b->plan->early_command)
                add_step(finish, "early-command", "running preseed/early_command");
        add_step(finish, "bootloader", "installing the boot loader");
        if (b->plan->late_command)
                add_step(finish, "late-command", "running preseed/late_command");
        add_step(finish, "cleanup", "cleaning up");
        json_add_string(o, "hostname", b->plan->hostname);
        json_add_string(o, "architecture", b->image->architecture);
        json_add_string(o, "suite", b->image->suite);
        json_add_string(o, "commandLine", command_line);
        json_add(o, "finish", finish);
        return o;
}

static int stages(struct bootstrap *b, struct error *err)
{
        run_stage(b->run, "check", "checking what is needed");
        if (make_plan(b, err) < 0 || make_folders(b, err) < 0)
                return -1;
        set_environment(b);
        if (bootstrap_check(b, err) < 0 || bootstrap_check_mirrors(b, err) < 0)
                return -1;
        run_stage(b->run, "keys", "collecting the keys of the package sources");
        if (bootstrap_keys(b, err) < 0 || make_disk(b, err) < 0 || bootstrap_install(b, err) < 0)
                return -1;
        return make_image(b, err);
}

int bootstrap_run(struct run *run, const struct bootstrap_request *request, struct json_object **ret, struct error *err)
{
        struct bootstrap b = {
                .run = run,
                .request = request,
                .overrides = {.name = request->name, .mirror = request->mirror, .size = request->size},
                .privileged = geteuid() == 0,
        };
        struct error clean = ERROR_INIT;
        int done = stages(&b, err);

        if (remove_folders(&b, &clean) < 0 && done == 0) {
                *err = clean;
                done = -1;
        }
        if (done == 0) {
                run_stage(run, NULL, NULL);
                *ret = result(&b);
        } else {
                for (const char *const *f = (const char *const[]){"buildenv.img", "kernel", "initrd", NULL}; *f; f++) {
                        autofree char *path = xasprintf("%s/%s", request->folder, *f);
                        unlink(path);
                }
        }
        plan_free(b.plan);
        preseed_free(b.preseed);
        image_free(b.image);
        strv_free(b.environment);
        free(b.preseed_text);
        free(b.work);
        free(b.temporary);
        free(b.keys);
        free(b.raw);
        return done;
}
