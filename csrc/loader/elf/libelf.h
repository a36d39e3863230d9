/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the part of the libelf interface that libbpf needs to read the BPF objects built into this
 * extension. Servers then need neither libelf nor its headers. Names and meanings are libelf's;
 * files, foreign byte orders and 32-bit images are refused.
 */
#ifndef EBTOP_LIBELF_H
#define EBTOP_LIBELF_H

#include <elf.h>
#include <stddef.h>

typedef struct Elf Elf;
typedef struct Elf_Scn Elf_Scn;

typedef enum { ELF_C_NULL, ELF_C_READ, ELF_C_READ_MMAP } Elf_Cmd;
typedef enum { ELF_K_NONE, ELF_K_AR, ELF_K_COFF, ELF_K_ELF } Elf_Kind;
typedef enum { ELF_T_BYTE } Elf_Type;

typedef struct {
	void *d_buf;
	Elf_Type d_type;
	unsigned int d_version;
	size_t d_size;
	size_t d_off;
	size_t d_align;
} Elf_Data;

unsigned int elf_version(unsigned int version);
const char *elf_errmsg(int error);
/* Opens no file: always NULL. */
Elf *elf_begin(int fd, Elf_Cmd command, Elf *parent);
/* NULL unless `image` is a whole, native, 64-bit ELF file. It is not copied, nor written to. */
Elf *elf_memory(char *image, size_t size);
int elf_end(Elf *elf);
Elf_Kind elf_kind(Elf *elf);
int elf_getshdrnum(Elf *elf, size_t *count);
int elf_getshdrstrndx(Elf *elf, size_t *index);
int elf_getphdrnum(Elf *elf, size_t *count);
Elf_Scn *elf_getscn(Elf *elf, size_t index);
Elf_Scn *elf_nextscn(Elf *elf, Elf_Scn *section);
size_t elf_ndxscn(Elf_Scn *section);
/* The bytes of a section; NULL when they are not all in the image. */
Elf_Data *elf_getdata(Elf_Scn *section, Elf_Data *previous);
Elf_Data *elf_rawdata(Elf_Scn *section, Elf_Data *previous);
/* A string that ends inside its section, or NULL. */
char *elf_strptr(Elf *elf, size_t section, size_t offset);
Elf64_Ehdr *elf64_getehdr(Elf *elf);
Elf64_Shdr *elf64_getshdr(Elf_Scn *section);

#endif
