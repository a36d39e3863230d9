// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the reading of an ELF image in memory, as far as libbpf asks. Every offset and size is checked
 * against the image before it is used (tests/unit/test_elf.py feeds it broken images).
 */
#include <stdlib.h>
#include <string.h>

#include "gelf.h"
#include "libelf.h"

struct Elf_Scn {
	Elf *elf;
	Elf64_Shdr *header;
	size_t index;
	Elf_Data data;
};

struct Elf {
	char *image;
	size_t size;
	size_t count; /* of sections */
	Elf64_Ehdr header;
	Elf_Scn sections[];
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ORDER ELFDATA2LSB
#else
#define NATIVE_ORDER ELFDATA2MSB
#endif

static int inside(size_t size, size_t offset, size_t bytes)
{
	return offset <= size && bytes <= size - offset;
}

static int is_readable(const Elf64_Ehdr *header, size_t size)
{
	return !memcmp(header->e_ident, ELFMAG, SELFMAG) &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_ident[EI_DATA] == NATIVE_ORDER &&
	       header->e_shentsize == sizeof(Elf64_Shdr) && header->e_shoff % 8 == 0 &&
	       header->e_shnum < SHN_LORESERVE && header->e_shstrndx < header->e_shnum &&
	       inside(size, header->e_shoff, (size_t)header->e_shnum * sizeof(Elf64_Shdr));
}

Elf *elf_memory(char *image, size_t size)
{
	Elf64_Ehdr header;
	Elf *elf;

	if (!image || size < sizeof(header) || (size_t)image % 8)
		return NULL;
	memcpy(&header, image, sizeof(header));
	if (!is_readable(&header, size))
		return NULL;
	elf = calloc(1, sizeof(*elf) + header.e_shnum * sizeof(elf->sections[0]));
	if (!elf)
		return NULL;
	elf->image = image;
	elf->size = size;
	elf->count = header.e_shnum;
	elf->header = header;
	for (size_t i = 0; i < elf->count; i++) {
		elf->sections[i].elf = elf;
		elf->sections[i].index = i;
		elf->sections[i].header = (void *)(image + header.e_shoff + i * sizeof(Elf64_Shdr));
	}
	return elf;
}

Elf *elf_begin(int fd, Elf_Cmd command, Elf *parent)
{
	(void)fd;
	(void)command;
	(void)parent;
	return NULL;
}

int elf_end(Elf *elf)
{
	free(elf);
	return 0;
}

unsigned int elf_version(unsigned int version)
{
	(void)version;
	return EV_CURRENT;
}

const char *elf_errmsg(int error)
{
	(void)error;
	return "not a readable ELF image";
}

Elf_Kind elf_kind(Elf *elf)
{
	return elf ? ELF_K_ELF : ELF_K_NONE;
}

int elf_getshdrnum(Elf *elf, size_t *count)
{
	*count = elf->count;
	return 0;
}

int elf_getshdrstrndx(Elf *elf, size_t *index)
{
	*index = elf->header.e_shstrndx;
	return 0;
}

int elf_getphdrnum(Elf *elf, size_t *count)
{
	(void)elf;
	*count = 0;
	return 0;
}

Elf_Scn *elf_getscn(Elf *elf, size_t index)
{
	return index < elf->count ? &elf->sections[index] : NULL;
}

/* Section 0 is a placeholder and is never visited. */
Elf_Scn *elf_nextscn(Elf *elf, Elf_Scn *section)
{
	return elf_getscn(elf, section ? section->index + 1 : 1);
}

size_t elf_ndxscn(Elf_Scn *section)
{
	return section ? section->index : SHN_UNDEF;
}

Elf_Data *elf_rawdata(Elf_Scn *section, Elf_Data *previous)
{
	const Elf64_Shdr *header = section ? section->header : NULL;
	Elf_Data *data;

	if (!header || previous)
		return NULL;
	data = &section->data;
	data->d_size = header->sh_size;
	data->d_align = header->sh_addralign;
	data->d_version = EV_CURRENT;
	data->d_buf = NULL;
	if (header->sh_type == SHT_NOBITS || !header->sh_size)
		return data;
	if (!inside(section->elf->size, header->sh_offset, header->sh_size))
		return NULL;
	data->d_buf = section->elf->image + header->sh_offset;
	return data;
}

Elf_Data *elf_getdata(Elf_Scn *section, Elf_Data *previous)
{
	return elf_rawdata(section, previous);
}

char *elf_strptr(Elf *elf, size_t section, size_t offset)
{
	Elf_Data *data = elf_rawdata(elf_getscn(elf, section), NULL);

	if (!data || !data->d_buf || offset >= data->d_size ||
	    !memchr((char *)data->d_buf + offset, '\0', data->d_size - offset))
		return NULL;
	return (char *)data->d_buf + offset;
}

Elf64_Ehdr *elf64_getehdr(Elf *elf)
{
	return elf ? &elf->header : NULL;
}

Elf64_Shdr *elf64_getshdr(Elf_Scn *section)
{
	return section ? section->header : NULL;
}

int gelf_getclass(Elf *elf)
{
	return elf ? ELFCLASS64 : ELFCLASSNONE;
}

GElf_Ehdr *gelf_getehdr(Elf *elf, GElf_Ehdr *ret)
{
	if (!elf)
		return NULL;
	*ret = elf->header;
	return ret;
}

GElf_Shdr *gelf_getshdr(Elf_Scn *section, GElf_Shdr *ret)
{
	if (!section)
		return NULL;
	*ret = *section->header;
	return ret;
}

/* ---- only for files, which are never opened ---- */

GElf_Phdr *gelf_getphdr(Elf *elf, int index, GElf_Phdr *ret)
{
	(void)elf;
	(void)index;
	(void)ret;
	return NULL;
}

GElf_Sym *gelf_getsym(Elf_Data *data, int index, GElf_Sym *ret)
{
	(void)data;
	(void)index;
	(void)ret;
	return NULL;
}

GElf_Versym *gelf_getversym(Elf_Data *data, int index, GElf_Versym *ret)
{
	(void)data;
	(void)index;
	(void)ret;
	return NULL;
}

GElf_Verdef *gelf_getverdef(Elf_Data *data, int offset, GElf_Verdef *ret)
{
	(void)data;
	(void)offset;
	(void)ret;
	return NULL;
}

GElf_Verdaux *gelf_getverdaux(Elf_Data *data, int offset, GElf_Verdaux *ret)
{
	(void)data;
	(void)offset;
	(void)ret;
	return NULL;
}

size_t gelf_getnote(Elf_Data *data, size_t offset, GElf_Nhdr *ret, size_t *name, size_t *desc)
{
	(void)data;
	(void)offset;
	(void)ret;
	(void)name;
	(void)desc;
	return 0;
}
