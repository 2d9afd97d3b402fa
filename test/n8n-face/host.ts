import type { ICredentialDataDecryptedObject, IDataObject, IHttpRequestOptions } from 'n8n-workflow';
import type { RequestAuthentication } from '../../src/n8n/adapter.ts';
import { MARKER_PROPERTY } from '../../src/n8n/marker.ts';

/** The status of an answer, given the headers of the request. */
export type Api = (headers: IDataObject) => number;

export class HttpFailure extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`HTTP ${String(status)}`);
    this.status = status;
  }
}

/**
 * How n8n 2.38.7 authenticates a request of its HTTP Request node (`requestWithAuthentication` of n8n-core,
 * `CredentialsHelper.preAuthentication` of n8n): decrypt, pre-authenticate if the expirable property is empty, authenticate,
 * send; after any failure pre-authenticate again and, if that gave something, authenticate and send once more.
 */
export class Host {
  stored: ICredentialDataDecryptedObject;
  /** How often n8n wrote the credential. */
  writes = 0;
  /** Requests that reached the API. */
  sent = 0;
  readonly #type: RequestAuthentication;
  readonly #api: Api;

  constructor(type: RequestAuthentication, stored: ICredentialDataDecryptedObject, api: Api) {
    this.#type = type;
    this.stored = { ...stored, [MARKER_PROPERTY]: stored[MARKER_PROPERTY] ?? '' };
    this.#api = api;
  }

  /** @throws what n8n would show */
  async request(options: IHttpRequestOptions): Promise<void> {
    const decrypted = { ...this.stored };
    try {
      if (decrypted[MARKER_PROPERTY] === '') await this.#preAuthenticate(decrypted);
      this.#send(await this.#type.authenticate(decrypted, options));
    } catch (error) {
      if (!(await this.#preAuthenticate(decrypted))) throw error;
      this.#send(await this.#type.authenticate(decrypted, options));
    }
  }

  async #preAuthenticate(decrypted: ICredentialDataDecryptedObject): Promise<boolean> {
    const output = await this.#type.preAuthentication(decrypted);
    const marker = output[MARKER_PROPERTY];
    if (typeof marker !== 'string') return false;
    this.writes += 1;
    this.stored = { ...this.stored, [MARKER_PROPERTY]: marker };
    Object.assign(decrypted, output);
    return true;
  }

  #send(options: IHttpRequestOptions): void {
    this.sent += 1;
    const status = this.#api(options.headers ?? {});
    if (status >= 400) throw new HttpFailure(status);
  }
}
