/**
 * The globals and the function that kernels refer to by name. In a module for threads each thread has an instance, and with
 * it globals of its own, over one memory.
 */

/** The address of the scratch memory of `local` buffers; in a module for threads, this thread's. */
export const SCRATCH = 'scratch';
/** The address of the scratch memory of `shared` buffers, which all threads have in common. */
export const SHARED = 'shared';
/** The number of this thread, 0 for the one that called the entry. */
export const THREAD = 'thread';
/** How many threads there are. */
export const THREADS = 'threads';
/** The function in which every thread waits for all others. */
export const BARRIER = 'barrier';
/** The functions that give out the turns of a divided loop (`turns.ts`): one begins it, the other takes a turn. */
export const BEGIN_TURNS = 'turns.begin';
export const TAKE_TURN = 'turns.take';
