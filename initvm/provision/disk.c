/* SPDX-License-Identifier: MIT */
#include "provision/disk.h"

#include "base/file.h"
#include "base/process.h"
#include "base/util.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024ull * 1024)

/* Partitions begin at whole MiB; the first MiB is the table's, and so is the last one, for its copy. */
#define ALIGN         MIB
#define BIOS_BOOT     (1 * MIB)  /* GRUB's core is some 100 KB */
#define EFI_SYSTEM    (64 * MIB) /* FAT32 needs 33 MiB, GRUB 5 */
#define ROOT_SIZE_MIN (256 * MIB)

/* A journal that is written around and around stays in the image at its full size: small is enough for a build machine. */
#define JOURNAL_MIB 64

/* What a file system needs besides its files' own blocks: inode tables, journal, folders, the reserve. */
#define OVERHEAD(content) ((content) / 10 + (JOURNAL_MIB + 32) * MIB)

#define SWAP_PAGE 4096 /* the page size of Debian's kernels for amd64 and arm64 */

static void new_uuid(char out[DISK_UUID_SIZE])
{
        uint8_t b[16];

        random_bytes(b, sizeof(b));
        b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
        b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
        snprintf(out, DISK_UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
                 b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

int disk_layout_init(struct disk_layout *layout, const struct plan *plan, struct error *err)
{
        uint16_t id[2];
        uint64_t end = plan->size / ALIGN * ALIGN;

        *layout = (struct disk_layout){.size = end, .efi = streq(plan->image->architecture, "arm64")};
        layout->boot_start = ALIGN;
        layout->boot_size = layout->efi ? EFI_SYSTEM : BIOS_BOOT;
        layout->swap_start = layout->boot_start + layout->boot_size;
        layout->swap_size = plan->swap / ALIGN * ALIGN;
        layout->root_start = layout->swap_start + layout->swap_size;
        if (end < layout->root_start + ROOT_SIZE_MIN + ALIGN)
                return error_set(err, ERR_INVALID, "a disk of %s is too small, with %s of swap: choose a larger --size",
                                 format_size(plan->size), format_size(plan->swap));
        layout->root_size = end - ALIGN - layout->root_start;
        new_uuid(layout->root_uuid);
        new_uuid(layout->swap_uuid);
        random_bytes(id, sizeof(id));
        snprintf(layout->efi_id, sizeof(layout->efi_id), "%04X-%04X", id[0], id[1]);
        return 0;
}

char *disk_sfdisk_script(const struct disk_layout *layout)
{
        static const char bios_boot[] = "21686148-6449-6E6F-744E-656564454649";
        static const char efi_system[] = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
        static const char swap[] = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F";
        static const char linux_data[] = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
        autobuf struct buf b = {0};

        buf_printf(&b, "label: gpt\nunit: sectors\n");
        buf_printf(&b, "start=%llu, size=%llu, type=%s\n", (unsigned long long)layout->boot_start / 512,
                   (unsigned long long)layout->boot_size / 512, layout->efi ? efi_system : bios_boot);
        if (layout->swap_size)
                buf_printf(&b, "start=%llu, size=%llu, type=%s\n", (unsigned long long)layout->swap_start / 512,
                           (unsigned long long)layout->swap_size / 512, swap);
        buf_printf(&b, "start=%llu, size=%llu, type=%s\n", (unsigned long long)layout->root_start / 512,
                   (unsigned long long)layout->root_size / 512, linux_data);
        return buf_take_string(&b);
}

static void uuid_bytes(const char *text, uint8_t out[16])
{
        size_t n = 0;

        for (const char *s = text; *s && n < 16;) {
                unsigned byte;

                if (*s == '-')
                        s++;
                else if (sscanf(s, "%2x", &byte) == 1) {
                        out[n++] = (uint8_t)byte;
                        s += 2;
                }
        }
}

int disk_write_swap(int fd, const struct disk_layout *layout, struct error *err)
{
        uint8_t page[SWAP_PAGE] = {0};
        struct {
                uint32_t version, last_page, bad_pages;
                uint8_t uuid[16];
        } header = {.version = 1, .last_page = (uint32_t)(layout->swap_size / SWAP_PAGE - 1)};

        if (!layout->swap_size)
                return 0;
        uuid_bytes(layout->swap_uuid, header.uuid);
        memcpy(page + 1024, &header, sizeof(header)); /* little endian, as both architectures are */
        memcpy(page + SWAP_PAGE - 10, "SWAPSPACE2", 10);
        if (pwrite(fd, page, sizeof(page), (off_t)layout->swap_start) != (ssize_t)sizeof(page))
                return error_errno(err, errno, "writing the swap area");
        return 0;
}

static int check_size(const char *root, const struct disk_layout *layout, struct error *err)
{
        uint64_t content = tree_size(root), need = content + OVERHEAD(content);
        uint64_t whole = (layout->root_start + need + 2 * ALIGN + (1ull << 30) - 1) >> 30;

        if (need <= layout->root_size)
                return 0;
        return error_set(err, ERR_INVALID, "the content needs %s, a disk of %s is too small for it: choose --size %lluG or more",
                         format_size(need), format_size(layout->size), (unsigned long long)whole);
}

/* In our own mount namespace the root is bound onto itself without what is mounted in it: /proc and /sys would be read else. */
static int hide_mounts(const char *root, struct error *err)
{
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount(root, root, NULL, MS_BIND, NULL) < 0)
                return error_errno(err, errno, "cannot look at '%s' without what is mounted in it", root);
        return 0;
}

/* A program of e2fsprogs, which works on the image in fd. */
static int run(char *const *argv, int fd, struct error *err)
{
        const struct process_fd fds[] = {{fd, fd}, {STDOUT_FILENO, 1}, {STDERR_FILENO, 2}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .cwd = "/"};
        int status;
        pid_t pid;

        if (process_spawn(argv, &options, &pid, err) < 0)
                return -1;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_errno(err, errno, "waiting for %s", argv[0]);
        if (status != 0)
                return error_set(err, ERR_FAILED, "making the root file system failed: %s ended with %s", argv[0],
                                 process_status_text(status));
        return 0;
}

/* Project quotas limit the disk of build jobs. mke2fs(8) of Debian 12 does not count in them what it puts in; tune2fs(8) does. */
static int add_quotas(int fd, const struct disk_layout *layout, struct error *err)
{
        autostrv char **argv = NULL;

        for (const char *const *s = (const char *const[]){"tune2fs", "-O", "project", "-Q", "prjquota", NULL}; *s; s++)
                strv_add(&argv, *s);
        strv_addf(&argv, "/proc/self/fd/%d?offset=%llu", fd, (unsigned long long)layout->root_start);
        return run(argv, fd, err);
}

int disk_make_root(int fd, const char *root, const struct disk_layout *layout, const char *filesystem, struct error *err)
{
        autofree char *file = xasprintf("/proc/self/fd/%d", fd);
        autofree char *offset = xasprintf("offset=%llu,root_owner=0:0", (unsigned long long)layout->root_start);
        autofree char *blocks = xasprintf("%lluk", (unsigned long long)layout->root_size / 1024);
        autofree char *journal = xasprintf("size=%d", JOURNAL_MIB);
        autostrv char **argv = NULL;
        bool ext4 = streq(filesystem, "ext4");

        if (hide_mounts(root, err) < 0 || check_size(root, layout, err) < 0)
                return -1;
        for (const char *const *s = (const char *const[]){"mke2fs", "-q", "-F", "-t", filesystem, "-b", "4096", "-m", "1", "-U",
                                                          layout->root_uuid, "-E", offset, "-d", root, NULL};
             *s; s++)
                strv_add(&argv, *s);
        if (!streq(filesystem, "ext2")) {
                strv_add(&argv, "-J");
                strv_add(&argv, journal);
        }
        if (ext4) {
                /* What a newer mke2fs turns on, and the GRUB of Debian 12 cannot read. */
                strv_add(&argv, "-O");
                strv_add(&argv, "^metadata_csum_seed,^orphan_file");
        }
        strv_add(&argv, file);
        strv_add(&argv, blocks);
        if (run(argv, fd, err) < 0)
                return -1;
        return ext4 ? add_quotas(fd, layout, err) : 0;
}
