/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the class-independent names of the same interface. What only symbol tables and notes of
 * files on disk need answers "none", since no file is ever opened.
 */
#ifndef EBTOP_GELF_H
#define EBTOP_GELF_H

#include "libelf.h"

typedef Elf64_Ehdr GElf_Ehdr;
typedef Elf64_Shdr GElf_Shdr;
typedef Elf64_Phdr GElf_Phdr;
typedef Elf64_Sym GElf_Sym;
typedef Elf64_Nhdr GElf_Nhdr;
typedef Elf64_Verdef GElf_Verdef;
typedef Elf64_Verdaux GElf_Verdaux;
typedef Elf64_Versym GElf_Versym;

#define GELF_ST_BIND ELF64_ST_BIND
#define GELF_ST_TYPE ELF64_ST_TYPE
#define GELF_ST_VISIBILITY ELF64_ST_VISIBILITY
#define GELF_R_SYM ELF64_R_SYM
#define GELF_R_TYPE ELF64_R_TYPE

int gelf_getclass(Elf *elf);
GElf_Ehdr *gelf_getehdr(Elf *elf, GElf_Ehdr *ret);
GElf_Shdr *gelf_getshdr(Elf_Scn *section, GElf_Shdr *ret);
GElf_Phdr *gelf_getphdr(Elf *elf, int index, GElf_Phdr *ret);
GElf_Sym *gelf_getsym(Elf_Data *data, int index, GElf_Sym *ret);
GElf_Versym *gelf_getversym(Elf_Data *data, int index, GElf_Versym *ret);
GElf_Verdef *gelf_getverdef(Elf_Data *data, int offset, GElf_Verdef *ret);
GElf_Verdaux *gelf_getverdaux(Elf_Data *data, int offset, GElf_Verdaux *ret);
size_t gelf_getnote(Elf_Data *data, size_t offset, GElf_Nhdr *ret, size_t *name, size_t *desc);

#endif
