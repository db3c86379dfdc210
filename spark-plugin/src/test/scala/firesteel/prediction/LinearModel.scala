package firesteel.prediction

import java.nio.charset.StandardCharsets
import java.nio.{ByteBuffer, ByteOrder}

import firesteel.data.{ColumnResolver, ElementType, InputColumn, InputFormat}
import org.apache.spark.sql.DataFrame

/** A classifier of one linear layer whose predictions are also computed here.
  *
  * @param weight
  *   a row of weights for each class
  * @param bias
  *   a bias for each class
  */
final case class LinearModel(weight: Seq[Seq[Float]], bias: Seq[Float]) {

  private val inputs = weight.head.size

  val weights: ModelWeights = new ModelWeights(safetensors)

  /** The logits of a row. */
  def logits(features: Seq[Double]): Seq[Double] = weight.zip(bias).map { case (row, b) =>
    row.zip(features).map { case (w, x) => w * x }.sum + b
  }

  /** The probabilities of a row. */
  def probabilities(features: Seq[Double]): Seq[Double] = {
    val raised = logits(features).map(math.exp)
    raised.map(_ / raised.sum)
  }

  /** The class of a row. */
  def prediction(features: Seq[Double]): Double = {
    val found = logits(features)
    found.indexOf(found.max).toDouble
  }

  /** The DataFrame with the outputs of some kinds, named as the kinds are. */
  def append(
      df: DataFrame,
      kinds: Seq[OutputKind] = LinearModel.Kinds,
      columns: Seq[String] = Seq("features"),
      suffix: String = "",
      format: InputFormat = InputFormat.Dense
  ): DataFrame = {
    val fitted =
      InputColumn("input", columns, format, ElementType.F32, Seq(inputs), 1.0)
    val data = ColumnResolver.forPrediction(df.schema, Seq(fitted))
    val outputs = kinds.map(kind => OutputColumn(kind.name + suffix, kind))
    Predictions.append(df, Predictor(spec, data, weights, kinds), outputs)
  }

  private def spec: String =
    s"""{"network": {"format": "firesteel.network/1", "inputs": ["input"], "nodes": [{"name": "0",
       |"op": "Linear", "inputs": ["input"], "args": {"out_features": ${bias.size}}}],
       |"outputs": ["0"]}, "task": "classification", "thresholds": [], "threads": 1}""".stripMargin

  private def safetensors: Array[Byte] = {
    val values = weight.flatten ++ bias
    val split = weight.flatten.size * 4
    val header =
      s"""{"0.bias":{"dtype":"F32","shape":[${bias.size}],"data_offsets":[$split,${values.size * 4}]},""" +
        s""""0.weight":{"dtype":"F32","shape":[${bias.size},$inputs],"data_offsets":[0,$split]}}"""
    val text = header.padTo((header.length + 7) / 8 * 8, ' ').getBytes(StandardCharsets.UTF_8)
    val buffer = ByteBuffer.allocate(8 + text.length + values.size * 4)
    buffer.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length.toLong).put(text)
    values.foreach(buffer.putFloat(_))
    buffer.array
  }
}

object LinearModel {

  val Kinds: Seq[OutputKind] =
    Seq(OutputKind.RawPrediction, OutputKind.Probability, OutputKind.Prediction)

  /** Three classes of five features, different for each seed. */
  def apply(seed: Int): LinearModel = {
    val random = new scala.util.Random(seed)
    def number: Float = random.nextInt(200) / 100f - 1
    LinearModel(Seq.fill(3)(Seq.fill(5)(number)), Seq.fill(3)(number))
  }
}
