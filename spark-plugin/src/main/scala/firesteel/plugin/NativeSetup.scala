package firesteel.plugin

import java.nio.file.Path

import scala.jdk.CollectionConverters._

import firesteel.bridge.{LibraryOptions, NativeLibrary}
import org.apache.spark.{SparkConf, SparkEnv, TaskContext}
import org.slf4j.LoggerFactory

/** Loads the native library by the application's configuration. */
private[firesteel] object NativeSetup {
  private val log = LoggerFactory.getLogger("firesteel.plugin.NativeSetup")

  /** Loads the library on the driver or inside a task, unless the plugin or an earlier call has done so. Call it before
    * the first use of `firesteel.bridge`.
    *
    * @throws java.lang.IllegalStateException
    *   when the version of Spark is not supported
    * @throws firesteel.bridge.NativeLibraryException
    *   when this machine or jar does not support it
    * @throws firesteel.bridge.LibtorchException
    *   when libtorch is missing or has another version
    */
  def ensureLoaded(): Unit =
    if (!NativeLibrary.isLoaded) {
      SupportedSpark.check()
      val conf = Option(SparkEnv.get).map(_.conf).getOrElse(new SparkConf)
      val gpu = Option(TaskContext.get()).exists(_.resources().contains("gpu"))
      load(conf, gpu)
    }

  private[plugin] def load(conf: SparkConf, gpu: Boolean): Unit =
    if (!NativeLibrary.isLoaded) {
      val loaded = NativeLibrary.load(options(conf, gpu))
      log.info(
        "Loaded libtorch {} from {}, with {} and MKL's {} kernels, by way of {}",
        loaded.libtorchVersion,
        loaded.libtorch,
        if (loaded.cuda) "CUDA" else "the CPU only",
        if (loaded.mklFastPaths) "fast" else "portable",
        loaded.folder
      )
    }

  private[plugin] def options(conf: SparkConf, gpu: Boolean): LibraryOptions = {
    val environment = conf.getOption("spark.pyspark.python").map("PYSPARK_PYTHON" -> _)
    val defaults = LibraryOptions
      .defaults()
      .withGpu(gpu)
      .withMklOnAll(Configuration.MklFastPaths.get(conf))
      .withEnvironment((sys.env ++ environment).asJava)
    val libtorch = Configuration.LibtorchPath
      .get(conf)
      .fold(defaults)(folder => defaults.withLibtorch(Path.of(folder)))
    Configuration.NativeDirectory
      .get(conf)
      .fold(libtorch)(folder => libtorch.withDirectory(Path.of(folder)))
  }
}
