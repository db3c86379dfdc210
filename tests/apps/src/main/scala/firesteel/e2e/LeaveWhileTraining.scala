package firesteel.e2e

import java.nio.file.{Files, Path}

import firesteel.classification.NetworkClassifier
import firesteel.network._
import org.apache.spark.sql.SparkSession

/** Calls `System.exit` while tasks train.
  *
  * Arguments: `data`, `code` (the exit code), `trigger` (the file whose appearance makes it leave).
  */
object LeaveWhileTraining {
  def main(args: Array[String]): Unit = {
    val options = new Options(args)
    val spark = SparkSession.builder().getOrCreate()
    val train = spark.read.parquet(s"${options.text("data")}/mnist-train.parquet")
    val classifier = new NetworkClassifier()
      .setNetwork(Network.sequential(Linear(500), ReLU, Linear(300), ReLU, Linear(10), Softmax))
      .setNumWorkers(2)
      .setEpochs(1000)
      .setShowProgress(true)
    val fit = new Thread(() => { classifier.fit(train); () }, "fit")
    fit.setDaemon(true)
    fit.start()
    val trigger = Path.of(options.text("trigger"))
    while (!Files.exists(trigger)) Thread.sleep(20)
    sys.exit(options.int("code", 0))
  }
}
