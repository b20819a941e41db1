/* SPDX-License-Identifier: MIT */
/*
 * More space for the root file system, and free space back to the host.  Both work in the image itself: the file system is
 * mounted, so that whatever interrupts it is as a power failure to it, which its journal is made for; and the partition table has
 * its copy at the end of the disk.
 */
#include "image/guest.h"

#include <stdlib.h>

#define SECTOR 512

/* Partitions end at whole MiB; what is behind that holds the copy of a GPT (33 sectors). */
#define ALIGN ((uint64_t)1 << 20)

/* How much may be missing behind a partition that is as large as it can be. */
#define SLACK (2 * ALIGN)

struct place {
        char *disk;
        int number;
        uint64_t end;       /* of the partition, in bytes from the start of the disk */
        uint64_t disk_size; /* bytes */
        bool last;          /* nothing is behind it */
};

static int find_place(struct guest *guest, struct place *p, struct error *err)
{
        struct guestfs_partition_list *list;
        int64_t size;

        *p = (struct place){.last = true};
        p->disk = guestfs_part_to_dev(guest->g, guest->root);
        p->number = p->disk ? guestfs_part_to_partnum(guest->g, guest->root) : -1;
        if (p->number < 0)
                return error_set(err, ERR_UNSUPPORTED,
                                 "the root file system on '%s' is not in a partition, so that it cannot be grown", guest->root);
        size = guestfs_blockdev_getsize64(guest->g, p->disk);
        list = guestfs_part_list(guest->g, p->disk);
        if (size < 0 || !list)
                return guest_failed(guest, err, "the partitions cannot be listed");
        p->disk_size = (uint64_t)size;
        for (uint32_t i = 0; i < list->len; i++)
                if (list->val[i].part_num == p->number)
                        p->end = list->val[i].part_end + 1;
        for (uint32_t i = 0; i < list->len; i++)
                p->last &= list->val[i].part_end < p->end;
        guestfs_free_partition_list(list);
        return 0;
}

static int grow_partition(struct guest *guest, const struct place *p, struct error *err)
{
        char *table = guestfs_part_get_parttype(guest->g, p->disk);
        bool gpt = streq(table, "gpt");
        uint64_t end = p->disk_size / ALIGN * ALIGN - (gpt ? ALIGN : 0);

        free(table);
        if (p->end + SLACK >= p->disk_size)
                return 0;
        if (!p->last)
                return error_set(err, ERR_UNSUPPORTED,
                                 "the root partition is not the last one of the disk, so that it cannot be grown");
        guest_stage("partition", "growing the partition");
        if ((gpt && guestfs_part_expand_gpt(guest->g, p->disk) < 0) ||
            guestfs_part_resize(guest->g, p->disk, p->number, (int64_t)(end / SECTOR - 1)) < 0)
                return guest_failed(guest, err, "the partition '%s' cannot be grown", guest->root);
        return 0;
}

static int grow_filesystem(struct guest *guest, struct error *err)
{
        char *type = guestfs_vfs_type(guest->g, guest->root);
        int r = 0;

        guest_stage("filesystem", "growing the file system");
        if (type && str_has_prefix(type, "ext"))
                r = guestfs_resize2fs(guest->g, guest->root);
        else if (streq(type, "xfs"))
                r = guestfs_xfs_growfs(guest->g, "/", GUESTFS_XFS_GROWFS_DATASEC, 1, -1);
        else if (streq(type, "btrfs"))
                r = guestfs_btrfs_filesystem_resize(guest->g, "/", -1);
        if (r < 0)
                guest_failed(guest, err, "the file system on '%s' cannot be grown", guest->root);
        free(type);
        return r;
}

int guest_grow(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct guestfs_statvfs *st;
        struct place place;
        int r;

        (void)request;
        if (guest_find_system(guest, err) < 0)
                return -1;
        r = find_place(guest, &place, err);
        if (r == 0)
                r = grow_partition(guest, &place, err);
        free(place.disk);
        if (r < 0)
                return -1;
        if (guestfs_mount(guest->g, guest->root, "/") < 0)
                return guest_failed(guest, err, "the root file system on '%s' cannot be mounted", guest->root);
        if (grow_filesystem(guest, err) < 0)
                return -1;
        st = guestfs_statvfs(guest->g, "/");
        if (st)
                json_add_u64(result, "filesystem", (uint64_t)st->blocks * (uint64_t)st->frsize);
        guestfs_free_statvfs(st);
        return 0;
}

int guest_trim(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        char **mounts;
        int r = 0;

        (void)request;
        (void)result;
        if (guest_mount(guest, err) < 0)
                return -1;
        guest_stage("trim", "giving free space back");
        mounts = guestfs_mountpoints(guest->g);
        if (!mounts)
                return guest_failed(guest, err, "the mount points cannot be listed");
        for (char **m = mounts; *m; m += 2) {
                /* An EFI system partition cannot, and has nothing to give. */
                if (guestfs_fstrim(guest->g, m[1], -1) < 0 && streq(m[1], "/"))
                        r = guest_failed(guest, err, "the free space of the root file system cannot be given back");
                free(m[0]);
                free(m[1]);
        }
        free(mounts);
        return r;
}
