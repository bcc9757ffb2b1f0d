// Every word of the page, in English and Simplified Chinese, and the choice between them.

const WORDS = {
  skip: ["Skip to the prompt", "跳到提示词"],
  navigation: ["Navigation", "导航"],
  create: ["Create", "创作"],
  gallery: ["Gallery", "图库"],
  status: ["Status", "状态"],
  feed: ["Your pictures", "你的作品"],
  close: ["Close", "关闭"],
  cancel: ["Cancel", "取消"],
  undo: ["Undo", "撤销"],

  door: ["This studio asks for its token.", "此画室需要访问令牌。"],
  token: ["Token", "令牌"],
  enter: ["Enter", "进入"],
  wrongToken: ["That is not the token. It is in the studio's configuration.", "令牌不正确，请查看画室配置。"],
  tooManyTokens: ["Too many wrong tokens. Wait a minute.", "尝试次数过多，请稍候一分钟。"],

  promptLabel: ["What shall we make?", "想画点什么？"],
  promptHint: ["Describe a picture…", "描述一幅画……"],
  send: ["Make pictures (Enter)", "开始绘制（回车）"],
  addPicture: ["Add a picture", "添加图片"],
  aspect: ["Shape", "比例"],
  images: ["Images", "张数"],
  model: ["Model", "模型"],
  look: ["Look", "风格"],
  noLook: ["No preset", "无预设"],
  seed: ["Seed", "种子"],
  randomSeed: ["Random each time", "每次随机"],
  drawSeed: ["Draw one now", "抽取一个"],
  draft: ["Draft", "草稿"],
  draftHint: ["Quick and cheap", "快速省时"],
  private: ["Private", "私密"],
  public: ["Public", "公开"],
  writeFlag: ["Write {flag}", "写入 {flag}"],
  flagsHelp: ["All flags", "全部参数"],
  fix: ["Write {word}", "改为 {word}"],
  makesJobs: ["makes {count} jobs", "将产生 {count} 个任务"],
  confirmTitle: ["Start {count} jobs?", "开始 {count} 个任务？"],
  confirmText: ["This prompt makes {count} jobs. All of them join the queue.", "此提示词会产生 {count} 个任务，全部加入队列。"],
  confirmYes: ["Start them all", "全部开始"],
  languageTitle: ["Switch to Chinese?", "切换到英文？"],
  languageText: ["The picture from your device has to be attached again afterwards. Your words are kept.", "切换后需要重新添加来自设备的图片，文字会保留。"],
  languageYes: ["Switch", "切换"],
  remixing: ["Remixing", "改写中"],
  emptyPrompt: ["Write a few words first.", "请先写几个字。"],
  unreachable: ["The studio does not answer. Your text is kept; try again in a moment.", "画室暂时没有回应。文字已保留，请稍后再试。"],
  onItsWay: ["Sending…", "正在发送……"],
  offline: ["Connection lost. Trying again…", "连接已断开，正在重试……"],
  online: ["Connected again", "已重新连接"],

  emptyFeed: ["Nothing here yet", "这里还空着"],
  emptyFeedHint: ["Describe a picture above, or begin with one of these:", "在上方描述一幅画，或从这些开始："],
  example1: ["a fox, glossy 3D render, soft studio light", "a fox, glossy 3D render, soft studio light"],
  example2: ["a mushroom, flat illustration, simple shapes --images 2", "a mushroom, flat illustration, simple shapes --images 2"],
  example3: ["a {cat, owl}, pixel art, few colours", "a {cat, owl}, pixel art, few colours"],
  queued: ["Waiting", "排队中"],
  place: ["Number {position} in the queue", "排在第 {position} 位"],
  starting: ["Getting ready", "准备中"],
  finishing: ["Finishing", "即将完成"],
  about: ["about {time}", "约 {time}"],
  left: ["{time} left", "还剩 {time}"],
  failed: ["Could not be made", "未能完成"],
  cancelled: ["Cancelled", "已取消"],
  finishedSay: ["Finished: {prompt}", "已完成：{prompt}"],
  failedSay: ["Failed: {reason}", "失败：{reason}"],
  loading: ["Loading…", "载入中……"],
  stop: ["Cancel this job", "取消此任务"],

  seconds: ["{n} s", "{n} 秒"],
  minutes: ["{n} min", "{n} 分钟"],
  hours: ["{n} h", "{n} 小时"],

  varySubtle: ["Vary subtle", "微调变化"],
  varyStrong: ["Vary strong", "大幅变化"],
  upscale: ["Upscale", "放大"],
  reroll: ["Reroll", "重新生成"],
  remix: ["Remix", "改写"],
  again: ["Make again", "再次生成"],
  asPrompt: ["Use as image prompt", "作为参考图"],
  asStyle: ["Use as style", "作为画风"],
  restyle: ["Restyle", "换画风"],
  favourite: ["Favourite", "收藏"],
  unfavourite: ["Remove from favourites", "取消收藏"],
  makePrivate: ["Make private", "设为私密"],
  makePublic: ["Make public", "设为公开"],
  download: ["Download {kind}", "下载 {kind}"],
  copyPrompt: ["Copy prompt", "复制提示词"],
  copyLink: ["Copy link", "复制链接"],
  usePrompt: ["Use prompt", "使用提示词"],
  copied: ["Copied", "已复制"],
  delete: ["Delete", "删除"],
  deleted: ["Deleted", "已删除"],
  deletedMany: ["{count} pictures deleted", "已删除 {count} 张"],
  started: ["On its way", "已开始"],
  previous: ["Previous picture", "上一张"],
  next: ["Next picture", "下一张"],
  picture: ["Picture", "图片"],
  pictureOf: ["Picture {n} of {total}: {alt}", "第 {n} 张，共 {total} 张：{alt}"],
  open: ["Open", "打开"],
  prompt: ["Prompt", "提示词"],
  details: ["Details", "详情"],
  size: ["Size", "尺寸"],
  made: ["Made", "时间"],
  operation: ["How", "方式"],
  parameters: ["Parameters", "参数"],
  lineage: ["From", "来源"],
  tags: ["Tags", "标签"],
  addTag: ["Add a tag", "添加标签"],
  siblings: ["Same job", "同一任务"],
  change: ["Change it", "继续创作"],
  keep: ["Keep it", "整理与保存"],

  "op-imagine": ["Imagined", "生成"],
  "op-vary-subtle": ["Varied a little", "微调自"],
  "op-vary-strong": ["Varied strongly", "大幅变化自"],
  "op-reroll": ["Rerolled", "重新生成"],
  "op-remix": ["Remixed", "改写自"],
  "op-upscale": ["Upscaled", "放大自"],
  "op-stylize": ["Restyled", "换画风"],
  "op-compare": ["Strengths compared", "比较强度"],
  "op-train-gan": ["Trained", "训练"],
  "op-train-style": ["Learned", "学习画风"],
  "op-make-again": ["Made again", "再次生成"],
  "op-blend": ["Blended", "混合自"],
  "op-dream": ["Dreamt", "梦境"],
  "op-morph": ["Morphed", "渐变动画"],

  dropHere: ["Drop the picture", "松开以放下图片"],
  noPicture: ["That is no picture the studio can use.", "这不是画室能用的图片。"],
  whatFor: ["What is this picture for?", "这张图片用来做什么？"],
  forPrompt: ["Image prompt", "参考图"],
  forPromptHint: ["Start from it: the words change it", "以它为起点，用文字改变它"],
  forStyle: ["Style", "画风"],
  forStyleHint: ["Take its look, not its subject", "采用它的画风，而非内容"],
  forRestyle: ["Restyle it", "给它换画风"],
  forRestyleHint: ["Keep its subject, give it another look", "保留内容，换上另一种画风"],
  forKeep: ["Keep its look", "保存它的画风"],
  forKeepHint: ["Under a name, to be used again", "起个名字，以后再用"],
  lookName: ["What is this look called?", "这种画风叫什么？"],
  keepLook: ["Keep", "保存"],
  learnLook: ["Learn it too: closer to it, takes minutes", "同时专门学习：更像，需要几分钟"],
  replaceLook: ["Replace it, and lose what was learned", "替换它，放弃已学到的内容"],
  learnedLook: ["learned", "已学习"],
  outdatedLook: ["learned for an older network: learn it again", "为旧版网络学习的：请重新学习"],
  renameLook: ["Rename {name}", "给 {name} 改名"],
  forgetLook: ["Forget {name}", "忘掉 {name}"],
  forgetForGood: ["What {name} has learned can't be brought back.", "{name} 学到的内容删除后无法恢复。"],
  learnNamed: ["Learn {name}: closer to it, takes minutes", "专门学习 {name}：更像，需要几分钟"],
  lookForgotten: ["{name} is forgotten; pictures made with it stay", "已忘掉 {name}；用它做的图片还在"],
  lookKept: ["Kept as {name}", "已存为 {name}"],
  forRead: ["Read its parameters", "读取参数"],
  forReadHint: ["See how it was made, write its prompt", "查看生成方式，填入提示词"],
  forAgain: ["Make it again", "再次生成"],
  forAgainHint: ["Same words, same seed", "相同文字，相同种子"],
  noParameters: ["This picture does not say how it was made.", "这张图片没有生成信息。"],
  readParameters: ["Its parameters", "图片参数"],
  writePrompt: ["Write its prompt", "填入提示词"],
  remove: ["Remove", "移除"],

  restyleTitle: ["Which look shall it take?", "换成哪种画风？"],
  looks: ["Looks", "画风"],
  ownLook: ["Your own picture", "用自己的图片"],
  strength: ["Strength", "强度"],
  method: ["Method", "方法"],
  methodFast: ["Fast", "快速"],
  methodOptimise: ["Optimised (slow)", "优化（较慢）"],
  methodDiffusion: ["Drawn anew", "模型重画"],
  detail: ["Detail", "精细度"],
  detailDraft: ["Draft", "草稿"],
  detailNormal: ["Normal", "普通"],
  detailFine: ["Fine", "精细"],
  keepColour: ["Colours", "颜色"],
  coloursStyle: ["Of the style", "风格的颜色"],
  coloursPicture: ["Of the picture", "原图的颜色"],
  coloursPalette: ["The picture's palette", "原图的色调"],
  someCells: ["Only some places", "只换一部分"],
  severalStrengths: ["Compare four strengths with a slider", "用滑块比较四种强度"],
  compareStrengths: ["Compare strengths", "比较强度"],
  more: ["More", "更多"],
  asUsual: ["As usual", "默认"],
  random: ["Random", "随机"],
  longerSide: ["Longer side in pixels", "长边（像素）"],
  loss: ["Compares looks by", "比较画风的依据"],
  lossGram: ["Correlations", "相关性"],
  lossSliced: ["Distributions", "分布"],
  begin: ["Begins with", "从什么开始"],
  beginContent: ["The picture", "原图"],
  beginNoise: ["Noise", "噪点"],
  addMask: ["Add a mask: white takes the look", "添加蒙版：白色部分换画风"],
  mask: ["Mask", "蒙版"],
  distance: ["How far from it", "与它相差多远"],
  usual: ["usual", "默认"],
  lessonWords: ["Only pictures found by these words", "只用搜到的图片"],
  secondShare: ["Second look midway", "中间一步第二种占比"],
  blendSteps: ["Show five steps from the first to the second", "展示从第一种到第二种的五个步骤"],

  mix: ["Mix pictures", "混合图片"],
  mixTitle: ["What shall become of pictures?", "用图片做什么？"],
  kindBlend: ["Blend", "混合"],
  kindMorph: ["Animate", "渐变动画"],
  kindDream: ["Dream", "梦境"],
  makeIt: ["Make it", "开始"],
  addWords: ["Add words", "添加文字"],
  addDream: ["Add a dream", "添加梦境"],
  whatToShow: ["What to show here", "这里画什么"],
  seedOfDream: ["Seed of the dream", "梦境的种子"],
  weight: ["Weight", "比重"],
  recentPictures: ["Recent pictures", "最近的图片"],
  drawOn: ["Words that draw it on (optional)", "在此基础上继续绘制的文字（可选）"],
  drawOnStrength: ["Drawn on by", "改变多少"],
  frames: ["Frames", "帧数"],
  length: ["Length", "时长"],
  asVideo: ["As an MP4 video", "做成 MP4 视频"],
  loopBack: ["Go back to the beginning", "回到开头"],
  dreamHint: ["Pictures without words. Add one to dream near it.", "不用文字画图。添加一张图片，就梦见与它相近的。"],
  dreamOf: ["Dream of", "梦见"],
  anything: ["Anything", "随意"],
  dreamer: ["Dreamt by", "由谁来做梦"],
  asShipped: ["The shipped models", "随附模型"],
  teach: ["Teach a generator", "训练生成器"],
  teachHint: ["It learns what your pictures have in common: at least 16 different ones. Deleted pictures and those others keep private are never used. It learns while nothing else is drawn; cancel it to keep what it knows by then.", "它会学习你的图片的共同之处，至少需要 16 张不同的图片。已删除的图片和别人的私密图片绝不会用到。它只在没有别的绘图时学习；取消时会保留已学到的内容。"],
  generatorName: ["Name of the generator", "生成器的名称"],
  minutesOfLearning: ["Minutes of learning", "学习几分钟"],
  favouritesOnly: ["Only my favourites", "只用我收藏的"],
  train: ["Train", "训练"],
  sheetOf: ["Sixteen dreams of {name}", "{name} 的十六个梦"],
  forget: ["Forget {name}", "删除 {name}"],
  wildness: ["Wildness", "奇特程度"],
  upscaleMore: ["Enlarge with detail", "按清晰度放大"],
  factor: ["Larger by", "放大"],
  crispness: ["Crispness", "锐利程度"],
  play: ["Play", "播放"],
  moves: ["It moves", "动图"],

  search: ["Search words, model:, seed:, tag:…", "搜索文字、model:、seed:、tag:……"],
  searchLabel: ["Search the gallery", "搜索图库"],
  all: ["All", "全部"],
  favourites: ["Favourites", "收藏"],
  upscales: ["Upscales", "放大图"],
  mine: ["Mine", "我的"],
  everyone: ["Everyone", "所有人"],
  until: ["Until", "截至"],
  select: ["Select", "选择"],
  done: ["Done", "完成"],
  selected: ["{count} selected", "已选 {count} 张"],
  selectedUnseen: ["{count} selected, {unseen} of them not shown", "已选 {count} 张，其中 {unseen} 张未显示"],
  downloadMany: ["Download", "下载"],
  downloadPart: ["Download {from}–{to}", "下载第 {from}–{to} 张"],
  pictures: ["{count} pictures", "{count} 张"],
  onePicture: ["1 picture", "1 张"],
  manyPictures: ["{count}+ pictures", "{count}+ 张"],
  emptyWall: ["No pictures yet", "还没有图片"],
  emptyWallHint: ["What you make will hang here.", "你生成的图片会挂在这里。"],
  emptyGallery: ["No pictures match", "没有符合的图片"],
  emptyGalleryHint: ["Try fewer words, or another filter.", "试试更少的词，或换个筛选。"],
  gone: ["This picture is not here, or not yours to see.", "图片不存在，或你无权查看。"],

  running: ["Running", "进行中"],
  waiting: ["Waiting", "等待中"],
  uptime: ["Up for", "已运行"],
  workers: ["Workers", "工作进程"],
  device: ["Device", "设备"],
  alive: ["Alive", "正常"],
  dead: ["Being replaced", "正在更换"],
  restarts: ["Restarts", "重启次数"],
  memory: ["Memory of models", "模型内存"],
  resident: ["Resident models", "已载入模型"],
  errors: ["Refusals and errors since the start", "启动以来的拒绝与错误"],
  noErrors: ["None", "无"],
  versions: ["Versions", "版本"],
  ownData: ["Your own data", "你的数据"],
  exportData: ["Download everything", "下载全部"],
  eraseData: ["Delete everything…", "删除全部……"],
  eraseTitle: ["Delete everything?", "删除全部？"],
  eraseText: ["All pictures, prompts, uploads, styles, generators and settings of the studio and the command line are deleted, and running jobs stop. This can't be undone.", "画室和命令行的全部图片、提示词、上传、风格、生成器和设置都会被删除，进行中的任务会停止。无法撤销。"],
  eraseYes: ["Delete for good", "永久删除"],
  logOut: ["Log out", "退出登录"],
};

const STORED = "atelier.language";
const CHINESE = 1;

function chosen() {
  const language = localStorage.getItem(STORED) ?? navigator.language;
  return language.toLowerCase().startsWith("zh") ? CHINESE : 0;
}

let column = chosen();

/** Whether the page speaks Chinese. */
export const isChinese = () => column === CHINESE;

/** The language as browsers name it, for dates and numbers. */
export const language = () => (isChinese() ? "zh-CN" : "en");

/** A text of the page with its {places} filled in. */
export function t(key, values = {}) {
  const text = WORDS[key]?.[column] ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** Speak the other language from now on. */
export function switchLanguage() {
  localStorage.setItem(STORED, isChinese() ? "en" : "zh-CN");
  column = chosen();
}

/** Put words where the page's own markup asks for them. */
export function speak(root) {
  document.documentElement.lang = language();
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = t(element.dataset.word);
  for (const element of root.querySelectorAll("[data-word-label]")) {
    element.setAttribute("aria-label", t(element.dataset.wordLabel));
  }
}

/** A length of time in the largest unit that fits. */
export function duration(seconds) {
  if (seconds < 90) return t("seconds", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t("minutes", { n: Math.round(seconds / 60) });
  return t("hours", { n: Math.round(seconds / 3600) });
}

/** How long ago, in words. */
export function ago(iso) {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(language(), { numeric: "auto", style: "short" });
  const units = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];
  let amount = Math.min(0, seconds);
  for (const [unit, size] of units) {
    if (Math.abs(amount) < size) return format.format(Math.round(amount), unit);
    amount /= size;
  }
  return "";
}

/** A moment, written out. */
export const moment = (iso) =>
  new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
