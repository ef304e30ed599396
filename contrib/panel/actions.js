// What a button does: one POST, then the action is followed to its end and the result is told. Changes that stop something
// are asked about first.
import {failure, title} from './words.js';

const SAID = {start: 'started', stop: 'stopped', restart: 'restarted', reload: 'reloaded', check: 'checked', pause: 'paused', resume: 'resumed', reset: 'reset'};
const DOING = {start: 'Starting', stop: 'Stopping', restart: 'Restarting', reload: 'Reloading', check: 'Checking', pause: 'Pausing', resume: 'Resuming', reset: 'Resetting'};

export class Actions {
  busy = new Set();
  #app;

  constructor(app) { this.#app = app; }

  isBusy(key, verb) { return this.busy.has(key + ' ' + verb); }
  doing(key) {
    for (const verb of Object.keys(DOING)) if (this.isBusy(key, verb)) return DOING[verb];
    return '';
  }

  /** Runs a verb on a unit; resolves when it is over. */
  async run(verb, key, body = {}) {
    const name = this.#name(key), {ok, message} = await this.#follow(key + ' ' + verb, () => this.#app.source.post(`api/services/${encodeURIComponent(key)}/${verb}`, body));
    this.#app.toast(ok ? `${name} ${SAID[verb]}` : failure(`Cannot ${verb} ${name}`, message), ok ? 'ok' : 'down');
    return ok;
  }
  async confirmed(verb, key, text) {
    if (await this.#app.ask(`${verb.charAt(0).toUpperCase() + verb.slice(1)} ${this.#name(key)}?`, text, verb.charAt(0).toUpperCase() + verb.slice(1))) await this.run(verb, key);
  }
  async check(key, id, verb) {
    const {ok, message} = await this.#follow(`${key} ${id} ${verb}`, () => this.#app.source.post(`api/checks/${encodeURIComponent(key)}/${encodeURIComponent(id)}/${verb}`));
    if (!ok) this.#app.toast(failure(`Cannot ${verb} the check ${id}`, message), 'down');
  }
  async alert(id, verb, body = {}) {
    const {ok, message} = await this.#follow(`alert ${id} ${verb}`, () => this.#app.source.post(`api/alerts/${encodeURIComponent(id)}/${verb}`, body));
    this.#app.toast(ok ? (verb === 'ack' ? 'Acknowledged' : 'Silenced') : failure(`Cannot ${verb} the alert`, message), ok ? 'ok' : 'down');
  }

  #name(key) {
    const unit = this.#app.store.unit(key);
    return unit ? title(unit) : key;
  }
  async #follow(name, post) {
    if (this.busy.has(name)) return {ok: false, message: 'it is being done already'};
    this.busy.add(name);
    this.#app.render();
    try {
      return await this.#end(await post());
    } finally {
      this.busy.delete(name);
      this.#app.store.forget();
      this.#app.source.refresh();
      this.#app.render();
    }
  }
  async #end(answer) {
    if (!answer.ok) return {ok: false, message: answer.error};
    const id = answer.data?.action_id;
    if (id == null) return {ok: true};
    for (const end = Date.now() + 180e3; Date.now() < end;) {
      const step = await this.#app.source.get(`api/actions/${encodeURIComponent(id)}?wait=20`);
      if (!step.ok) return {ok: false, message: step.error};
      if (step.data.finished) return {ok: step.data.ok, message: (step.data.units || []).filter((u) => u.status === 'failed').map((u) => u.message).join('; ') || 'it failed'};
    }
    return {ok: false, message: 'it goes on for more than 3 minutes'};
  }
}
