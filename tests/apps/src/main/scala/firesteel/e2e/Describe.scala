package firesteel.e2e

import firesteel.bridge.{LibraryOptions, NativeLibrary}
import org.apache.spark.sql.SparkSession

/** Prints the libraries that the plugin has loaded on the driver and on the executors. */
object Describe {
  def main(args: Array[String]): Unit = {
    val spark = SparkSession.builder().getOrCreate()
    val executors = spark.sparkContext.parallelize(0 until 2, 2).map(_ => loaded()).collect()
    Report.print("driver" -> loaded(), "executors" -> executors.toSeq)
    spark.stop()
  }

  private def loaded(): Map[String, String] = {
    require(NativeLibrary.isLoaded, "the plugin has loaded nothing")
    val library = NativeLibrary.load(LibraryOptions.defaults())
    Map(
      "version" -> library.libtorchVersion,
      "origin" -> library.libtorch,
      "mkl" -> (if (library.mklFastPaths) "fast" else "portable")
    )
  }
}
