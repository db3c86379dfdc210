package firesteel.e2e

import firesteel.bridge.NativeRuntime
import org.apache.spark.sql.SparkSession

/** Loads the native library on the driver and on every executor, and tells what was loaded. */
object Describe {
  def main(args: Array[String]): Unit = {
    val spark = SparkSession.builder().getOrCreate()
    val context = spark.sparkContext
    val executors = context.parallelize(0 until 2, 2).map(_ => NativeRuntime.describe()).collect()
    Report.print("driver" -> NativeRuntime.describe(), "executors" -> executors.toSeq)
    spark.stop()
  }
}
