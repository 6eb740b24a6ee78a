/** An engine seen from the program that compares them: a child process that answers one request at a time. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { EngineName } from './engine.js';
import type { EngineStart, Reply, Request } from './serve.js';

type Kind = Exclude<Reply['kind'], 'unsupported'>;
type ReplyOf<K extends Kind> = Extract<Reply, { kind: K }>;
type Refusal = Extract<Reply, { kind: 'unsupported' }>;

export class EngineProcess {
  title = '';
  node = '';
  /** Why it does not run at all. */
  failure: string | null = null;

  private constructor(
    readonly name: EngineName,
    private readonly child: ChildProcess,
  ) {}

  /** `program`: where the bundle of `serve.ts` is; `node`: what runs it. */
  static async start(program: string, node: string, start: EngineStart): Promise<EngineProcess> {
    const child = fork(fileURLToPath(program), [JSON.stringify(start)], {
      execPath: node,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const engine = new EngineProcess(start.engine, child);
    const started = await engine.reply('started');
    if (started.kind === 'unsupported') engine.failure = started.reason;
    else Object.assign(engine, { title: started.title, node: started.node });
    return engine;
  }

  async prepare(workload: string): Promise<{ output: Float64Array | null; reason: string | null }> {
    if (this.failure !== null) return { output: null, reason: this.failure };
    const reply = await this.request('prepared', { kind: 'prepare', workload });
    if (reply.kind === 'unsupported') return { output: null, reason: reply.reason };
    return { output: reply.output, reason: null };
  }

  /** The milliseconds of each call. */
  async measure(milliseconds: number): Promise<readonly number[]> {
    const reply = await this.request('measured', { kind: 'measure', milliseconds });
    if (reply.kind === 'unsupported') throw new Error(`${this.name} ${reply.reason}`);
    return reply.times;
  }

  stop(): void {
    this.child.kill();
  }

  private request<K extends Kind>(kind: K, request: Request): Promise<ReplyOf<K> | Refusal> {
    const reply = this.reply(kind);
    this.child.send(request);
    return reply;
  }

  private reply<K extends Kind>(kind: K): Promise<ReplyOf<K> | Refusal> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.child.off('message', onMessage).off('exit', onExit);
      };
      const onMessage = (reply: Reply): void => {
        settle();
        if (reply.kind === kind || reply.kind === 'unsupported') resolve(reply as ReplyOf<K>);
        else reject(new Error(`${this.name} answered '${reply.kind}' where '${kind}' was asked for`));
      };
      const onExit = (): void => {
        settle();
        this.failure = 'ended by itself';
        resolve({ kind: 'unsupported', reason: this.failure });
      };
      this.child.on('message', onMessage).on('exit', onExit);
    });
  }
}
