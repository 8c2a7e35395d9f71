/** NiiVue, a script of its own that only reports with images carry; the page finds it as `cortuneBrain`. */
import { MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER } from '@niivue/niivue';

export interface BrainImage {
  file: ArrayBuffer;
  low: number;
  high: number;
  colors: 'gray' | 'scores' | 'gains';
  opacity: number;
}

/** In mm by the images' affine: of voxels NiiVue has its own order. */
export type Place = readonly [number, number, number];

export interface BrainLook {
  ground: [number, number, number];
  text: [number, number, number];
}

export interface BrainViewer {
  show(images: BrainImage[], look: BrainLook): Promise<void>;
  /** Moves the crosshair to a place, in mm. */
  goTo(mm: Place): void;
  /** What is seen, as a PNG in a data: URL; in other colours of ground and text where they are given. */
  picture(look?: BrainLook): string;
}

/** Viridis. In all scales the first of 256 steps is clear: NiiVue gives it to voxels without a number. */
const kScores = {
  R: [68, 68, 49, 53, 253],
  G: [1, 1, 104, 183, 231],
  B: [84, 84, 142, 121, 37],
  A: [0, 255, 255, 255, 255],
  I: [0, 1, 64, 192, 255],
};
/** Blue below, red above. */
const kGains = {
  R: [33, 33, 103, 247, 239, 178],
  G: [102, 102, 169, 247, 138, 24],
  B: [172, 172, 207, 247, 98, 43],
  A: [0, 255, 255, 255, 255, 255],
  I: [0, 1, 64, 128, 192, 255],
};

/** `onMove` is told the place under the crosshair. Throws where WebGL2 cannot be had. */
async function openBrain(canvas: HTMLCanvasElement, onMove: (mm: Place) => void): Promise<BrainViewer> {
  const niivue = new Niivue({
    logLevel: 'silent',
    loadingText: '',
    dragAndDropEnabled: false,
    isResizeCanvas: true,
    isNearestInterpolation: true,
    isAlphaClipDark: true, // outside of the head there is nothing
    multiplanarShowRender: SHOW_RENDER.ALWAYS,
    multiplanarLayout: MULTIPLANAR_TYPE.GRID,
    crosshairWidth: 0.4,
    show3Dcrosshair: true,
    doubleTouchTimeout: 300,
  });
  niivue.onLocationChange = (location) => onMove((location as { mm: Float32Array }).mm as unknown as Place);
  await niivue.attachToCanvas(canvas);
  canvas.parentElement!.style.removeProperty('background-color');
  niivue.addColormap('scores', kScores);
  niivue.addColormap('gains', kGains);
  let now: BrainLook = { ground: [1, 1, 1], text: [0, 0, 0] };
  const dress = (look: BrainLook) => {
    now = look;
    niivue.opts.backColor = [...look.ground, 1];
    niivue.opts.fontColor = [...look.text, 1];
    niivue.opts.crosshairColor = [...look.text, 0.6];
  };
  return {
    async show(images, look) {
      dress(look);
      while (niivue.volumes.length > 0) niivue.removeVolume(niivue.volumes[0]!);
      for (const [i, { file, low, high, colors, opacity }] of images.entries()) {
        const image = await NVImage.loadFromFile({
          file: new File([file], `image-${i}.nii`),
          name: `image-${i}.nii`,
          colormap: colors,
          opacity,
        });
        // The lowest number is the second step.
        [image.cal_min, image.cal_max] = [low - (high - low) / 254, high];
        niivue.addVolume(image);
      }
      niivue.updateGLVolume();
    },
    goTo([x, y, z]) {
      niivue.scene.crosshairPos = niivue.mm2frac([x, y, z]);
      niivue.createOnLocationChange();
      niivue.drawScene();
    },
    picture(look = now) {
      const before = now;
      dress(look);
      niivue.drawScene();
      const url = canvas.toDataURL('image/png');
      dress(before);
      niivue.drawScene();
      return url;
    },
  };
}

export type OpenBrain = typeof openBrain;
(globalThis as { cortuneBrain?: OpenBrain }).cortuneBrain = openBrain;
