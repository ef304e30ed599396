// Login with a token. The token goes to the server once and is then a cookie that scripts cannot read.
import {h} from './dom.js';
import {brandMark} from './icons.js';
import {empty} from './parts.js';

export class LoginPage {
  #app; #error = ''; #busy = false;
  constructor(app) { this.#app = app; }

  render() {
    const {session, live} = this.#app.source;
    if (live && !session.login) return [empty('key', 'No login needed', 'Whoever reaches this address may do what it allows; there is nothing to log in to.', {more: h('a', {class: 'btn', href: '#/'}, 'Overview')})];
    return [h('div', {class: 'login', key: 'login'}, h('form', {class: 'card login-card', action: '#', method: 'post', onsubmit: (event) => this.#submit(event)},
      h('div', {class: 'login-mark'}, brandMark()), h('h1', {}, 'Log in to keepwell'),
      h('p', {class: 'i2'}, session.login === false && this.#app.source.mode === 'login' ? 'This keepwell asks for a token.' : 'Paste a token; it decides what you may see and do here.'),
      h('label', {class: 'sm', for: 'token'}, 'Token'), h('input', {id: 'token', name: 'token', class: 'field', type: 'password', autocomplete: 'current-password', required: true, spellcheck: 'false', 'aria-describedby': this.#error ? 'login-error' : null, 'aria-invalid': this.#error ? 'true' : null, ref: (el) => queueMicrotask(() => el.focus())}),
      this.#error ? h('p', {class: 'login-error s-down', id: 'login-error', role: 'alert'}, this.#error) : null,
      h('button', {class: 'btn primary wide', type: 'submit', disabled: this.#busy, 'aria-busy': this.#busy ? 'true' : null}, this.#busy ? 'Logging in…' : 'Log in'),
      h('p', {class: 'xs i3'}, 'No token yet? On the host: ', h('code', {}, 'keepwell token add NAME')))) ];
  }
  async #submit(event) {
    event.preventDefault();
    const field = event.currentTarget.elements.token, token = field.value.trim();
    if (!token || this.#busy) return;
    this.#busy = true;
    this.#error = '';
    this.#app.render();
    this.#error = await this.#app.source.login(token);
    this.#busy = false;
    if (!this.#error) {
      field.value = '';
      if (this.#app.store.route.page === 'login') location.hash = '#/';
    }
    this.#app.render();
  }
}
