/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handle.h - SourceHandle: who originated an NBL, and so who gets it back (SH-05).
 *
 * One 32-bit namespace. The highest bit set of bits 31..29 tells the kind, so that an end
 * of a path needs one look:
 *
 *   bit 31    an injection handle of the filter engine
 *   bit 30    a binding (binding.h): number and generation
 *   bit 29    a queue of a port: its number
 *   else      a module: id in the low 8 bits, generation above (SH-08); 0 = nobody
 */
#ifndef STACK_HANDLE_H
#define STACK_HANDLE_H

#include <nbl/contract.h>

enum nbl_origin {
	NBL_ORIGIN_MODULE,
	NBL_ORIGIN_PORT,
	NBL_ORIGIN_BINDING,
	NBL_ORIGIN_WFP,
	NBL_N_ORIGINS
};

#define NBL_HANDLE_WFP		(1u << 31)
#define NBL_HANDLE_BINDING	(1u << 30)
#define NBL_HANDLE_PORT		(1u << 29)

static inline enum nbl_origin nbl_handle_origin(uint32_t handle)
{
	return handle & NBL_HANDLE_WFP ? NBL_ORIGIN_WFP :
	       handle & NBL_HANDLE_BINDING ? NBL_ORIGIN_BINDING :
	       handle & NBL_HANDLE_PORT ? NBL_ORIGIN_PORT : NBL_ORIGIN_MODULE;
}

static inline uint32_t nbl_handle_of_queue(uint32_t number)
{
	return NBL_HANDLE_PORT | number;
}

static inline uint32_t nbl_handle_of_module(uint16_t id, uint32_t generation)
{
	return ((generation << 8) & (NBL_HANDLE_PORT - 1)) | id;
}

static inline uint16_t nbl_handle_module_id(uint32_t handle)
{
	return (uint16_t)(handle & 0xff);
}

#endif
