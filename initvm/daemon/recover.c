/* SPDX-License-Identifier: MIT */
/* The daemon's first look around: which VMs there are, which of them run, and what was interrupted. */
#include "base/file.h"
#include "base/log.h"
#include "daemon/manager_private.h"
#include "daemon/virt_stream.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void load_one(struct manager *m, const char *folder, const char *name)
{
        autofree char *record = xasprintf("%s/vm.json", folder);
        struct error err = ERROR_INIT;
        struct vm *vm;

        if (access(record, F_OK) < 0) {
                /* Only destroy takes vm.json away before the rest. */
                autofree char *sentence = xasprintf("removed the rest of VM '%s', whose destroy was interrupted", name);
                if (tree_remove(folder, &err) == 0)
                        strv_push(&m->daemon->recovered, take_ptr(sentence));
                else
                        log_error("%s", err.message);
                return;
        }
        vm = vm_load(m->daemon, folder, &err);
        if (vm)
                manager_add(m, vm);
        else
                log_error("%s", err.message);
}

static void load_vms(struct manager *m)
{
        autofree char *vms = xasprintf("%s/vms", m->daemon->paths.state);
        DIR *dir = opendir(vms);
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
                autofree char *folder = xasprintf("%s/%s", vms, e->d_name);
                if (vm_name_valid(e->d_name))
                        load_one(m, folder, e->d_name);
        }
        if (dir)
                closedir(dir);
}

/* The embedded driver's root is ours alone: a running domain that is not one of our VMs is the first boot of an interrupted
 * create, and one that does not run was left by a daemon that was killed. */
static void adopt_domains(struct manager *m)
{
        virDomainPtr *domains = NULL;
        int n = virConnectListAllDomains(m->daemon->libvirt, &domains, 0);

        for (int i = 0; i < n; i++) {
                char uuid[VIR_UUID_STRING_BUFLEN] = "";
                struct vm *vm = manager_find(m, virDomainGetName(domains[i]), NULL);
                virDomainGetUUIDString(domains[i], uuid);
                bool active = virDomainIsActive(domains[i]) == 1;
                if (active && vm && streq(vm_record(vm)->uuid, uuid)) {
                        log_info("VM '%s' is running, taken up again", virDomainGetName(domains[i]));
                        vm_adopt(vm, domains[i]);
                        continue;
                }
                if (active)
                        log_info("domain '%s' belongs to no VM, ended", virDomainGetName(domains[i]));
                if ((active && virDomainDestroy(domains[i]) < 0) || virDomainUndefine(domains[i]) < 0)
                        log_error("domain '%s': %s", virDomainGetName(domains[i]), virt_error());
                virDomainFree(domains[i]);
        }
        free(domains);
}

static void remove_interrupted_creates(struct manager *m)
{
        autofree char *creating = xasprintf("%s/creating", m->daemon->paths.state);
        DIR *dir = opendir(creating);
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
                autofree char *folder = xasprintf("%s/%s", creating, e->d_name);
                struct error err = ERROR_INIT;
                uint64_t size;
                if (!vm_name_valid(e->d_name))
                        continue;
                size = tree_size(folder);
                if (create_remove_remains(folder, &err) < 0) {
                        log_error("%s", err.message);
                        continue;
                }
                strv_addf(&m->daemon->recovered, "removed the half-made VM '%s' of an interrupted create (%s)", e->d_name,
                          format_size(size));
        }
        if (dir)
                closedir(dir);
}

void manager_recover(struct manager *m)
{
        load_vms(m);
        adopt_domains(m);
        remove_interrupted_creates(m);
        for (size_t i = 0; i < m->n_vms; i++)
                vm_check_ended(m->vms[i]);
        for (char **s = m->daemon->recovered; s && *s; s++)
                log_info("%s", *s);
}
