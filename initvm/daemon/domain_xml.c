/* SPDX-License-Identifier: MIT */
/*
 * Everything virtio, nothing that a build machine has no use for (graphics, USB, balloon), no QEMU command line of our own: the
 * domain stays untainted and managed.
 *
 * A kernel that oopses is no machine to trust a build to: it panics and boots again.
 *
 * The console's bytes are also appended to console.log by QEMU itself, so that nothing is missing from the record while no daemon
 * is there to read.
 */
#include "daemon/domain_xml.h"

#include "base/util.h"

#include <string.h>

/* The name of our elements in a domain's metadata (libvirt's domain format page, "General metadata"): only a name. */
#define METADATA_URI "https://initvm.example/domain/1"

/* Appends text escaped for XML content and for attributes in single quotes. */
static void escape(struct buf *out, const char *text)
{
        for (; *text; text++) {
                switch (*text) {
                case '&':
                        buf_printf(out, "&amp;");
                        break;
                case '<':
                        buf_printf(out, "&lt;");
                        break;
                case '>':
                        buf_printf(out, "&gt;");
                        break;
                case '\'':
                        buf_printf(out, "&apos;");
                        break;
                case '"':
                        buf_printf(out, "&quot;");
                        break;
                default:
                        buf_append(out, text, 1);
                }
        }
}

static char *escaped(const char *text)
{
        autobuf struct buf b = {0};

        escape(&b, text);
        return buf_take_string(&b);
}

/* A locally administered address that stays the same for the VM: 52:54:00 is QEMU's and KVM's prefix, the rest from the UUID. */
static void mac_address(const char *uuid, char ret[18])
{
        uint32_t hash = 2166136261u; /* FNV-1a */

        for (; *uuid; uuid++)
                hash = (hash ^ (uint8_t)*uuid) * 16777619u;
        snprintf(ret, 18, "52:54:00:%02x:%02x:%02x", hash >> 16 & 0xff, hash >> 8 & 0xff, hash & 0xff);
}

/* The user network is QEMU's own, or by a connection to one that can forward a port: passt.h. */
static void add_interface(struct buf *b, const struct vm_record *record, const struct domain_options *options)
{
        char mac[18];

        mac_address(record->uuid, mac);
        buf_printf(b, "    <interface type='%s'>\n      <mac address='%s'/>\n", options->ssh_port ? "client" : "user", mac);
        if (options->ssh_port)
                buf_printf(b, "      <source address='127.0.0.1' port='%u'/>\n", (unsigned)options->net_port);
        buf_printf(b, "      <model type='virtio'/>\n    </interface>\n");
}

/* Or nothing: then the firmware looks for a boot loader. */
static void add_kernel(struct buf *b, const struct vm_record *record, const struct machine *machine,
                       const struct domain_options *options)
{
        autofree char *folder = options->boot_folder ? escaped(options->boot_folder) : NULL;
        autofree char *command_line = escaped(options->installer ? options->installer : record->command_line);

        if (!folder) {
                buf_printf(b, "    <boot dev='hd'/>\n");
                return;
        }
        buf_printf(b, "    <kernel>%s/kernel</kernel>\n    <initrd>%s/initrd</initrd>\n", folder, folder);
        buf_printf(b, "    <cmdline>%s console=%s panic=-1 oops=panic", command_line, machine->console);
        if (!options->kvm)
                buf_printf(b, " %s", machine->tcg_command_line);
        if (!options->kvm && options->tsc_khz > 0 && machine->tcg_tsc)
                buf_printf(b, " tsc=reliable tsc_early_khz=%u", options->tsc_khz);
        buf_printf(b, "</cmdline>\n");
}

static void add_installer_log(struct buf *b, const struct machine *machine, const char *folder)
{
        buf_printf(b,
                   "    <serial type='pty'>\n      <log file='%s/installer.log' append='on'/>\n"
                   "      <target type='%s' port='1'>\n        <model name='%s'/>\n      </target>\n    </serial>\n",
                   folder, machine->log_target, machine->log_model);
}

char *domain_xml(const struct vm_record *record, const struct machine *machine, const struct domain_options *options)
{
        autobuf struct buf b = {0};
        autofree char *name = escaped(record->name), *uuid = escaped(record->uuid);
        autofree char *folder = escaped(options->folder);

        buf_printf(&b, "<domain type='%s'>\n", options->kvm ? "kvm" : "qemu");
        buf_printf(&b, "  <name>%s</name>\n  <uuid>%s</uuid>\n", name, uuid);
        if (options->ssh_port)
                buf_printf(&b, "  <metadata>\n    <initvm:ssh xmlns:initvm='" METADATA_URI "' port='%u'/>\n  </metadata>\n",
                           (unsigned)options->ssh_port);
        buf_printf(&b, "  <memory unit='b'>%llu</memory>\n", (unsigned long long)record->memory);
        buf_printf(&b, "  <vcpu>%llu</vcpu>\n",
                   (unsigned long long)(options->kvm ? record->cpus : MIN(record->cpus, machine->tcg_cpus)));
        buf_printf(&b, "  <os>\n    <type arch='%s' machine='%s'>hvm</type>\n", machine->uname, machine->type);
        add_kernel(&b, record, machine, options);
        buf_printf(&b, "  </os>\n");
        buf_printf(&b, "  <features>%s</features>\n", machine->features);
        buf_printf(&b, "  %s\n", options->kvm ? "<cpu mode='host-passthrough'/>" : machine->tcg_cpu);
        buf_printf(&b,
                   "  <clock offset='utc'/>\n"
                   "  <on_poweroff>destroy</on_poweroff>\n  <on_reboot>%s</on_reboot>\n  <on_crash>destroy</on_crash>\n"
                   "  <devices>\n",
                   options->installer ? "destroy" : "restart");
        buf_printf(&b, "    <emulator>%s</emulator>\n", machine->emulator);
        buf_printf(&b,
                   "    <disk type='file' device='disk'>\n"
                   "      <driver name='qemu' type='qcow2' cache='%s' discard='unmap' detect_zeroes='unmap'/>\n"
                   "      <source file='%s/buildenv.img'/>\n"
                   "      <target dev='vda' bus='virtio'/>\n    </disk>\n",
                   options->unsafe_writes ? "unsafe" : "writeback", folder);
        add_interface(&b, record, options);
        buf_printf(&b,
                   "    <serial type='pty'>\n      <log file='%s/console.log' append='on'/>\n"
                   "      <target type='%s' port='0'>\n        <model name='%s'/>\n      </target>\n    </serial>\n"
                   "    <console type='pty'>\n      <target type='serial' port='0'/>\n    </console>\n",
                   folder, machine->serial_target, machine->serial_model);
        if (options->installer)
                add_installer_log(&b, machine, folder);
        if (!options->no_port)
                buf_printf(&b, "    <channel type='unix'>\n      <target type='virtio' name='" AGENT_PORT_NAME
                               "'/>\n    </channel>\n");
        buf_printf(&b, "    <rng model='virtio'>\n      <backend model='random'>/dev/urandom</backend>\n    </rng>\n"
                       "    <controller type='usb' model='none'/>\n"
                       "    <memballoon model='none'/>\n"
                       "  </devices>\n</domain>\n");
        return buf_take_string(&b);
}

uint16_t domain_xml_ssh_port(const char *xml)
{
        const char *element = strstr(xml, "<initvm:ssh "), *port = element ? strstr(element, " port=") : NULL;
        unsigned n;

        return port && sscanf(port, " port=%*1['\"]%5u", &n) == 1 && n <= UINT16_MAX ? (uint16_t)n : 0;
}
