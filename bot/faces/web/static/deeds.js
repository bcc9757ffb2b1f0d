// Everything that can be done with an image, in one place for tiles, lightbox and gallery.
import { complain, copy, notice, waitFor } from "./notices.js";
import { send } from "./server.js";
import { t } from "./words.js";

export class Deeds {
  /** `onjobs(jobs)`: jobs were started; `onimage(id, image)`: an image changed, null where it is gone. */
  constructor({ onjobs, onimage }) {
    this.onjobs = onjobs;
    this.onimage = onimage;
    this.underWay = new Set();
  }

  /** Start a job by an operation; once, however often it is pressed before that is answered. */
  async start(path, body = {}) {
    const wish = path + JSON.stringify(body);
    if (this.underWay.has(wish)) return false;
    this.underWay.add(wish);
    try {
      this.started(await waitFor(send(path, body)));
      return true;
    } catch (error) {
      complain(error);
      return false;
    } finally {
      this.underWay.delete(wish);
    }
  }

  /** Show the jobs that the studio's answer tells of. */
  started({ jobs }) {
    this.onjobs(jobs);
    notice(t("started"));
  }

  favourite(image) {
    return this.change(image, "favourite", { on: !image.favourite });
  }

  publish(image) {
    return this.change(image, "publish", { private: !image.private });
  }

  tag(image, tags) {
    return this.change(image, "tags", { tags });
  }

  async change(image, operation, body) {
    try {
      const changed = await send(`/api/images/${image.id}/${operation}`, body);
      Object.assign(image, changed);
      this.onimage(image.id, image);
    } catch (error) {
      complain(error);
      if (error.status === 404) this.onimage(image.id, null); // another tab has deleted it
    }
  }

  /** Delete images at once, with a way back. */
  async delete(images) {
    const gone = [];
    for (const image of images) {
      try {
        await send(`/api/images/${image.id}/delete`);
        gone.push(image);
      } catch (error) {
        if (error.status !== 404) {
          complain(error);
          break;
        }
      }
      this.onimage(image.id, null); // also what another tab has deleted
    }
    if (!gone.length) return;
    const text = gone.length > 1 ? t("deletedMany", { count: gone.length }) : t("deleted");
    notice(text, { action: { label: t("undo"), run: () => this.restore(gone) } });
  }

  async restore(images) {
    for (const image of images) {
      try {
        this.onimage(image.id, await send(`/api/images/${image.id}/restore`));
      } catch (error) {
        complain(error);
        return;
      }
    }
    this.onrestored?.(images);
  }

  copyPrompt(image) {
    return copy(image.prompt);
  }

  copyLink(image) {
    return copy(new URL(`/i/${image.id}`, location.href).href);
  }
}
