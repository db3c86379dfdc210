package firesteel.classification

import firesteel.data.{LabelColumn, LabelKind}
import firesteel.fit.OutputObjective
import firesteel.network.{Inspection, OutputInspection}
import firesteel.params.Losses
import org.apache.spark.ml.attribute.{Attribute, BinaryAttribute, NominalAttribute}
import org.apache.spark.sql.types.StructField
import org.json4s.JsonAST.{JObject, JString}

/** The objective of a classifier: the classes of its label, and its loss. */
private[classification] object ClassificationObjective {

  /** The losses for classes; they have no options. */
  val losses: Seq[String] = {
    import Losses._
    Seq(CrossEntropy, BinaryCrossEntropyWithLogits, NllLoss, Hinge, KlDiv, MseLoss, L1Loss)
  }

  /** Returns the objective for a label.
    *
    * @param loss
    *   the loss that the user set, if any
    * @throws java.lang.IllegalArgumentException
    *   when the network's output is not one value for each class
    */
  def objective(
      inspection: Inspection,
      label: StructField,
      loss: Option[String]
  ): OutputObjective = {
    val output = onlyOutput(inspection)
    import Losses.{BinaryCrossEntropyWithLogits, CrossEntropy}
    val size = output.size
    val classes = classesOf(size)
    val chosen = loss.getOrElse {
      if (size == 1 || output.activation == OutputInspection.Sigmoid) BinaryCrossEntropyWithLogits
      else CrossEntropy
    }
    OutputObjective(
      LabelColumn(label.name, LabelKind.Class(classes)),
      JObject("name" -> JString(chosen))
    )
  }

  /** Returns the number of classes of a network with this many outputs: one logit stands for two classes. */
  def classesOf(outputSize: Int): Int = math.max(2, outputSize)

  /** Returns the names of a label's classes, where its metadata has them. */
  def names(label: StructField): Option[Seq[String]] = Attribute.fromStructField(label) match {
    case nominal: NominalAttribute => nominal.values.map(_.toSeq)
    case binary: BinaryAttribute => binary.values.map(_.toSeq)
    case _ => None
  }

  private def onlyOutput(inspection: Inspection): OutputInspection = {
    val output = inspection.onlyOutput("a classifier")
    if (output.shape.size != 1) {
      throw new IllegalArgumentException(
        s"the network's output '${output.name}' has the shape ${output.shape.mkString("[", ", ", "]")}; a classifier " +
          "needs one value for each class, as from a Linear layer after Flatten"
      )
    }
    output
  }
}
