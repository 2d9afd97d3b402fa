import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { z } from 'zod/v4';
import { launchChromium } from '../servers/chromium.ts';
import type { N8nServer, StoredWorkflow } from './n8n-server.ts';
import type { CredentialReference, WorkflowNode } from './workflow.ts';

export type Theme = 'light' | 'dark';

const FORM = part('editCredential-modal');
const PANEL = part('ndv');
const LOOPBACK = '127.0.0.1';

const shown = z.object({
  text: z.string(),
  icons: z.array(z.object({ source: z.string(), width: z.number() })),
  cut: z.array(z.string()),
});

/** What a person sees of a part of the editor. */
export interface Shown {
  readonly text: string;
  /** Every picture; the width is 0 when it could not be loaded. */
  readonly icons: readonly { readonly source: string; readonly width: number }[];
  /** Texts that do not fit into their place. Values in input fields may be as long as they like. */
  readonly cut: readonly string[];
}

/** n8n's own editor in a headless Chromium, signed in as the owner. Nothing but this machine is reached. */
export class Editor {
  readonly #n8n: N8nServer;
  readonly #browser: Browser;
  readonly #page: Page;
  /** Addresses elsewhere that the editor wanted to load. */
  readonly refused: string[] = [];

  private constructor(n8n: N8nServer, browser: Browser, page: Page) {
    this.#n8n = n8n;
    this.#browser = browser;
    this.#page = page;
  }

  static async open(n8n: N8nServer): Promise<Editor> {
    const browser = await launchChromium();
    try {
      return await Editor.#signedIn(n8n, browser);
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  static async #signedIn(n8n: N8nServer, browser: Browser): Promise<Editor> {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      locale: 'en-US',
      timezoneId: 'UTC',
      reducedMotion: 'reduce',
    });
    const [name = '', value = ''] = n8n.sessionCookie.split('=');
    await context.addCookies([{ name, value, url: n8n.url }]);
    const editor = new Editor(n8n, browser, await context.newPage());
    await editor.#stayHere(context);
    return editor;
  }

  /** Chooses the theme as a user does in his settings; it shows with the next page. */
  async choose(theme: Theme): Promise<void> {
    if (this.#page.url() === 'about:blank') await this.#page.goto(`${this.#n8n.url}/healthz`);
    await this.#page.emulateMedia({ colorScheme: theme });
    await this.#page.evaluate(`localStorage.setItem('N8N_THEME', '${theme}')`);
  }

  async stop(): Promise<void> {
    await this.#browser.close();
  }

  /** Opens the form of a stored credential and waits for the sign that all is well: of the test that n8n makes then. */
  async credentialForm(credential: CredentialReference, sign: string): Promise<Picture> {
    await this.#page.goto(`${this.#n8n.url}/home/credentials/${credential.id}`);
    const form = this.#page.locator(FORM);
    await form.locator(part('credential-connection-parameter')).first().waitFor();
    await form.getByText(sign).filter({ visible: true }).first().waitFor();
    return new Picture(form.getByRole('dialog').or(form).first(), FORM);
  }

  /** Shows the lowest fields of the form that is open. */
  async scrollForm(): Promise<Picture> {
    const form = this.#page.locator(FORM);
    await form.locator(part('credential-connection-parameter')).last().scrollIntoViewIfNeeded();
    return new Picture(form.getByRole('dialog').or(form).first(), FORM);
  }

  /** Opens a node of a workflow. */
  async nodePanel(workflow: StoredWorkflow, node: WorkflowNode): Promise<Picture> {
    await this.#page.goto(`${this.#n8n.url}/workflow/${workflow.id}/${node.id}`);
    // "Node executed successfully" covers the output, and goes away when it likes.
    await this.#page.addStyleTag({ content: '.el-notification { display: none !important }' });
    const panel = this.#page.locator(PANEL);
    await panel.locator(part('node-parameters')).waitFor();
    await panel.locator('img').first().waitFor();
    return new Picture(panel, PANEL);
  }

  /** Presses "Execute step" in the open panel and waits for its items. */
  async executeStep(): Promise<Picture> {
    const panel = this.#page.locator(PANEL);
    await panel.locator(part('node-execute-button')).first().click();
    await panel
      .locator(part('output-panel'))
      .getByText(/^\d+ items?$/)
      .first()
      .waitFor();
    // The other views are as wide as the data.
    await panel.locator(part('output-panel')).locator(part('radio-button-schema')).click();
    return new Picture(panel, PANEL);
  }

  /** Unfolds the operations of the open panel: the texts that a person chooses by. */
  async operations(): Promise<readonly string[]> {
    await this.#page.locator(part('parameter-input-operation')).first().click();
    const options = this.#page.locator(`${part('parameter-input-item')}:visible`);
    await options.first().waitFor();
    const texts = await options.allInnerTexts();
    await this.#page.keyboard.press('Escape');
    return texts;
  }

  async #stayHere(context: BrowserContext): Promise<void> {
    await context.route('**/*', (route, request) => {
      const { hostname, protocol, origin } = new URL(request.url());
      if (hostname === LOOPBACK || !protocol.startsWith('http')) return route.continue();
      this.refused.push(origin);
      return route.abort();
    });
  }
}

/** A part of the editor as it is now. */
export class Picture {
  readonly #locator: Locator;
  readonly #selector: string;

  constructor(locator: Locator, selector: string) {
    this.#locator = locator;
    this.#selector = selector;
  }

  /** Writes it as PNG. */
  async save(file: string): Promise<void> {
    await this.#locator.screenshot({ path: file, animations: 'disabled', caret: 'hide' });
  }

  async shown(): Promise<Shown> {
    return shown.parse(await this.#locator.page().evaluate(`(${LOOK})(${JSON.stringify(this.#selector)})`));
  }
}

function part(testId: string): string {
  return `[data-test-id="${testId}"]`;
}

/** Runs in the page, so it is no TypeScript of ours. */
const LOOK = `(selector) => {
  const root = document.querySelector(selector);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const elements = [...root.querySelectorAll('*')].filter(isShown);
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
  const isCut = (element) => {
    for (let box = element; box && box !== root; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (style.overflowX !== 'visible' && style.overflowX !== 'auto' && box.scrollWidth > box.clientWidth + 1) return true;
      if (style.display !== 'inline') return false;
    }
    return false;
  };
  return {
    text: root.innerText,
    icons: elements
      .filter((element) => element.tagName === 'IMG')
      .map((image) => ({ source: image.getAttribute('src') ?? '', width: image.naturalWidth })),
    cut: elements.filter(hasText).filter(isCut).map((element) => element.textContent.trim()),
  };
}`;
